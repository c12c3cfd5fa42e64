// A proxy in front of a TCP server, which a test can cut and restore.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface TcpProxy {
  readonly port: number;
  /** The first bytes of every connection so far. */
  readonly beginnings: readonly Buffer[];
  /** Drops every connection, and accepts no other until {@link mend}. */
  cut(): void;
  mend(): void;
  /** Resets every connection (RST), so its ends get an error. */
  reset(): void;
  /** Open connections forward nothing any more, not even a close; new ones work. */
  strand(): void;
  close(): Promise<void>;
}

/** @param target - a port of loopback, or a function that names one for each connection */
export async function startTcpProxy(target: number | (() => number)): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const beginnings: Buffer[] = [];
  let isCut = false;
  const server = createServer((socket) => {
    if (isCut) return void socket.destroy();
    socket.once('data', (bytes) => beginnings.push(bytes));
    const upstream = connect(typeof target === 'number' ? target : target(), '127.0.0.1');
    for (const [one, other] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      sockets.add(one);
      one.setNoDelay(true);
      one.pipe(other);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        // Data that it had sent is still delivered.
        other.end();
      });
    }
  });
  const drop = () => {
    for (const socket of sockets) socket.destroy();
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    beginnings,
    cut() {
      isCut = true;
      drop();
    },
    mend() {
      isCut = false;
    },
    reset() {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    strand() {
      for (const socket of sockets) {
        socket.unpipe();
        socket.removeAllListeners('close');
        socket.resume();
      }
    },
    async close() {
      isCut = true;
      drop();
      server.close();
      await once(server, 'close');
    },
  };
}
