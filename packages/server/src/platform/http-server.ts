// Requests that Node would refuse by itself with an empty body, or take from the API: they are answered like all others.
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { Config } from './config.js';
import { sendError } from './http-errors.js';

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
