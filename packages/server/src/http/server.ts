// Handles unusual requests that Node would refuse with an empty body or not pass on, such as CONNECT and upgrades.
import type { IncomingMessage, Server } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { Config } from '../settings/config.js';
import { endRawResponse } from './errors.js';
import { afterAnswers, noteAnswers } from './pipelined-answers.js';

/** How often Node checks for requests that take too long to arrive, in milliseconds. */
const TIMEOUT_CHECK_MS = 1000;

/** Options of the HTTP server. The timeout applies to the whole request, and to its header alone. */
export function httpOptions({ requestTimeoutSeconds }: Pick<Config, 'requestTimeoutSeconds'>) {
  return {
    // onEveryRequest checks the host itself.
    requireHostHeader: false,
    headersTimeout: requestTimeoutSeconds * 1000,
    requestTimeout: requestTimeoutSeconds * 1000,
    connectionsCheckingInterval: TIMEOUT_CHECK_MS,
  };
}

/** Answers CONNECT, and ignores unknown expectations (RFC 9110 §10.1.1). */
export function answerOddRequests(app: FastifyInstance): void {
  // By default, Node drops headers after the 2000th, such as a second `Host` or X-Forwarded-For. The size of headers is bounded anyway.
  app.server.maxHeadersCount = 0;
  app.server.on('checkExpectation', (request, response) => {
    app.server.emit('request', request, response);
  });
  noteAnswers(app.server);
  app.server.on('connect', (_request: IncomingMessage, stream: Socket) => {
    stream.on('error', () => stream.destroy());
    afterAnswers(stream, () => endRawResponse(stream, 'not_found'));
  });
}

/**
 * Returns a request to its HTTP server as if it had not asked for an upgrade, which a server may ignore (RFC 9110 §7.8).
 * Some clients offer `h2c` with every request on plain HTTP. Such requests must not be treated as WebSockets.
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
  const isLast = /\bclose\b/i.test(request.headers.connection ?? '');
  // Without an `Upgrade` header, this asks for no upgrade. The operator routes still use it to detect a proxy.
  lines.push(`connection: upgrade${isLast ? ', close' : ''}`);
  const bytes = Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]);
  // Node treats the socket as a new connection, so the answers to earlier requests must be written first.
  afterAnswers(stream, () => {
    // Removes the idle timeout, which Node sets after an earlier answer.
    if (stream instanceof Socket) stream.setTimeout(0);
    stream.unshift(bytes);
    server.emit('connection', stream);
  });
}
