// TCP sockets that read into one buffer shared by all: the generator allocates nothing for what it receives.
import { connect, type Socket } from 'node:net';

const RECEIVED = Buffer.allocUnsafeSlow(262_144);

/** Source ports, below those that Linux hands out by itself. */
const FIRST_PORT = 10_000;
const PORTS = 22_000;

export interface SocketEvents {
  onOpen: () => void;
  /** Bytes that are good only during the call. */
  onBytes: (bytes: Buffer) => void;
  /** The end, by whomever; called once, with the code of the error if it was one. */
  onClose: (reason: string) => void;
}

let dialed = 0;

/**
 * Where a socket comes from. Left to the system, one address has too few ports for a crowd, and finding a free one
 * among many takes longer than all the rest. On Linux all of 127.0.0.0/8 is this machine: each generator has addresses
 * of its own, so that it never meets what another left behind.
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
