// TCP sockets that read into one shared buffer, so that the generator allocates nothing for received data.
import { connect, type Socket } from 'node:net';

const RECEIVED = Buffer.allocUnsafeSlow(262_144);

/** Source ports, below the range that Linux assigns automatically. */
const FIRST_PORT = 10_000;
const PORTS = 22_000;

export interface SocketEvents {
  onOpen: () => void;
  /** Bytes that are valid only during the call. */
  onBytes: (bytes: Buffer) => void;
  /** The end of the connection, by either side; called once, with the code of the error if there was one. */
  onClose: (reason: string) => void;
}

let dialed = 0;

/**
 * Source addresses and ports of sockets. One address has too few automatic ports for a crowd, and finding a free one
 * among many takes most of the time. On Linux, all of 127.0.0.0/8 is this machine: each generator has its own
 * addresses, so that it never meets sockets that another left behind.
 */
function source(): { localAddress: string; localPort: number } | object {
  if (process.platform !== 'linux') return {};
  const n = dialed++;
  const { pid } = process;
  return {
    localAddress: `127.${64 + ((pid >> 8) & 127)}.${pid & 255}.${1 + (Math.floor(n / PORTS) % 254)}`,
    localPort: FIRST_PORT + (n % PORTS),
  };
}

/** Opens a socket to a port of this machine. */
export function dial(port: number, events: SocketEvents): Socket {
  const socket = connect({
    port,
    host: '127.0.0.1',
    noDelay: true,
    ...source(),
    onread: {
      buffer: RECEIVED,
      callback(length: number) {
        events.onBytes(RECEIVED.subarray(0, length));
        return true;
      },
    },
  });
  socket.on('connect', events.onOpen);
  let reason = 'closed';
  socket.on('error', (error: Error & { code?: string }) => {
    reason = error.code ?? error.message;
  });
  socket.on('close', () => events.onClose(reason));
  return socket;
}
