// Requests that Node would refuse by itself with an empty body, or take from the API: they are answered like all others.
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { Config } from './config.js';
import { endRawResponse, RETRY_AFTER_SECONDS, sendError } from './http-errors.js';
import type { Metrics } from './metrics.js';

/** How often Node looks for requests that take too long to arrive, in milliseconds. */
const TIMEOUT_CHECK_MS = 1000;

/** Options of the HTTP server. A request must arrive whole in time, and so must its header alone. */
export function httpOptions({ requestTimeoutSeconds }: Pick<Config, 'requestTimeoutSeconds'>) {
  return {
    // answerOddRequests looks for the host itself.
    requireHostHeader: false,
    headersTimeout: requestTimeoutSeconds * 1000,
    requestTimeout: requestTimeoutSeconds * 1000,
    connectionsCheckingInterval: TIMEOUT_CHECK_MS,
  };
}

/** Turns TCP connections beyond the limit away with a 503 before a byte of theirs is read. */
export function limitSockets(server: Server, maxSockets: number, metrics: Metrics): void {
  let open = 0;
  let refused = 0;
  const counted = new WeakSet<Socket>();
  server.prependListener('connection', (socket: Socket) => {
    // A socket that was given back after an ignored upgrade comes a second time.
    if (counted.has(socket)) return;
    counted.add(socket);
    open += 1;
    socket.once('close', () => {
      open -= 1;
    });
    if (open <= maxSockets) return;
    refused += 1;
    endRawResponse(socket, 'unavailable', { 'retry-after': String(RETRY_AFTER_SECONDS) });
  });
  metrics.level('couplet_sockets', 'TCP connections open now.', () => open);
  metrics.count(
    'couplet_sockets_refused_total',
    'TCP connections turned away because there are too many.',
    () => refused,
  );
}

/**
 * Returns how to end the TCP connections on which nothing was ever asked. Browsers open some to spare, and Node takes
 * one for busy until its first request: closing the server would wait for them.
 */
export function watchSpareSockets(server: Server): () => void {
  const open = new Set<Socket>();
  server.prependListener('connection', (socket: Socket) => {
    if (open.has(socket)) return;
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  return () => {
    for (const socket of open) {
      if (socket.bytesRead === 0) socket.destroy();
    }
  };
}

/** Answers a request without a host (RFC 9112 §3.2) in JSON, and ignores what it cannot expect (RFC 9110 §10.1.1). */
export function answerOddRequests(app: FastifyInstance): void {
  app.server.on('checkExpectation', (request, response) => {
    app.server.emit('request', request, response);
  });
  app.addHook('onRequest', (request, reply, done) => {
    if (request.headers.host !== undefined || request.raw.httpVersion !== '1.1') return done();
    sendError(reply.header('connection', 'close'), 'invalid_request');
  });
}

/**
 * Gives a request back to its HTTP server as if it had not asked for an upgrade (RFC 9110 §7.8: one may ignore it).
 * Some clients offer `h2c` with every request on plain HTTP; a check of theirs must not be taken for a WebSocket.
 */
export function ignoreUpgrade(
  server: Server,
  request: IncomingMessage,
  stream: Duplex,
  head: Buffer,
): void {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`];
  for (let n = 0; n < request.rawHeaders.length; n += 2) {
    const [name = '', value = ''] = request.rawHeaders.slice(n, n + 2);
    if (!/^(upgrade|connection|http2-settings)$/i.test(name)) lines.push(`${name}: ${value}`);
  }
  if (/\bclose\b/i.test(request.headers.connection ?? '')) lines.push('connection: close');
  stream.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
  server.emit('connection', stream);
}
