// Requests that Node would refuse by itself with an empty body, or take from the API: they are answered like all others.
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { sendError } from './http-errors.js';

/** Options of the HTTP server: {@link answerOddRequests} looks for the host itself. */
export const HTTP_OPTIONS = { requireHostHeader: false } as const;

/** Answers a request without a host (RFC 9112 §3.2) in JSON, and ignores what it cannot expect (RFC 9110 §10.1.1). */
export function answerOddRequests(app: FastifyInstance): void {
  app.server.on('checkExpectation', (request, response) => {
    app.server.emit('request', request, response);
  });
  app.addHook('onRequest', async (request, reply) => {
    if (request.headers.host !== undefined || request.raw.httpVersion !== '1.1') return undefined;
    return sendError(reply.header('connection', 'close'), 'invalid_request');
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
