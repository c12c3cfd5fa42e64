// The TCP connections of the HTTP server: no more than so many, and no shutdown waits for one on which nothing was ever asked.
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { endRawResponse, RETRY_AFTER_SECONDS } from './http-errors.js';
import type { Metrics } from './metrics.js';

/**
 * Turns TCP connections beyond the limit away with a 503 before a byte of theirs is read. Returns how to end those on
 * which nothing was ever asked: browsers open some to spare, and Node takes one for busy until its first request, so
 * that closing the server would wait for them.
 */
export function limitSockets(server: Server, maxSockets: number, metrics: Metrics): () => void {
  const open = new Set<Socket>();
  let refused = 0;
  /** One for all: a function of its own would live as long as each socket. */
  function onClose(this: Socket): void {
    open.delete(this);
  }
  server.prependListener('connection', (socket: Socket) => {
    // A socket that was given back after an ignored upgrade comes a second time.
    if (open.has(socket)) return;
    open.add(socket);
    socket.on('close', onClose);
    if (open.size <= maxSockets) return;
    refused += 1;
    endRawResponse(socket, 'unavailable', { 'retry-after': String(RETRY_AFTER_SECONDS) });
  });
  metrics.level('couplet_sockets', 'TCP connections open now.', () => open.size);
  metrics.count(
    'couplet_sockets_refused_total',
    'TCP connections turned away because there are too many.',
    () => refused,
  );
  return () => {
    for (const socket of open) {
      if (socket.bytesRead === 0) socket.destroy();
    }
  };
}
