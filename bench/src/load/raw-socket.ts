// TCP sockets that read into one buffer shared by all: the generator allocates nothing for what it receives.
import { connect, type Socket } from 'node:net';

const RECEIVED = Buffer.allocUnsafeSlow(262_144);

/** Sockets from one source address, well below the ports that a system hands out. */
const SOCKETS_PER_ADDRESS = 12_000;

export interface SocketEvents {
  onOpen: () => void;
  /** Bytes that are good only during the call. */
  onBytes: (bytes: Buffer) => void;
  /** The end, by whomever; called once. */
  onClose: () => void;
}

/** Opens the n-th socket of a crowd to a port of this machine. */
export function dial(port: number, n: number, events: SocketEvents): Socket {
  const crowd = Math.floor(n / SOCKETS_PER_ADDRESS);
  const socket = connect({
    port,
    host: '127.0.0.1',
    noDelay: true,
    // Only Linux has the whole of 127.0.0.0/8 without being told.
    ...(crowd > 0 && process.platform === 'linux' ? { localAddress: `127.0.0.${1 + crowd}` } : {}),
    onread: {
      buffer: RECEIVED,
      callback(length: number) {
        events.onBytes(RECEIVED.subarray(0, length));
        return true;
      },
    },
  });
  socket.on('connect', events.onOpen);
  // What matters is that it has ended: `close` follows.
  socket.on('error', () => {});
  socket.on('close', events.onClose);
  return socket;
}
