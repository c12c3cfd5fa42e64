// Requests that Node would refuse by itself with an empty body, or take from the API: they are answered like all others.
import type { IncomingHttpHeaders, IncomingMessage, Server } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { Config } from '../settings/config.js';
import { ANSWER_HEADERS, endRawResponse, sendError } from './errors.js';
import type { HostRule } from './hosts.js';
import { afterAnswers, noteAnswers } from './pipelined-answers.js';

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

/**
 * Gives every answer its {@link ANSWER_HEADERS}, refuses requests for another host in JSON, ignores what the server cannot
 * expect (RFC 9110 §10.1.1) and the type of a body that is not there, and answers CONNECT.
 */
export function answerOddRequests(app: FastifyInstance, hostFault: HostRule): void {
  // Node leaves out what comes after 2000 headers: a second `Host`, or what a proxy tells of the client. Their size is bounded.
  app.server.maxHeadersCount = 0;
  app.server.on('checkExpectation', (request, response) => {
    app.server.emit('request', request, response);
  });
  noteAnswers(app.server);
  app.server.on('connect', (_request: IncomingMessage, stream: Socket) => {
    stream.on('error', () => stream.destroy());
    afterAnswers(stream, () => endRawResponse(stream, 'not_found'));
  });
  app.addHook('onRequest', ({ raw }, reply, done) => {
    reply.headers(ANSWER_HEADERS);
    if (hasNoBody(raw.headers) || !MEDIA_TYPE.test(raw.headers['content-type'] ?? '')) {
      // Fastify refuses a type that it cannot read before it has seen whether there is a body.
      delete raw.headers['content-type'];
    }
    const fault = hostFault(raw);
    if (fault === undefined) return done();
    sendError(reply.header('connection', 'close'), fault);
  });
}

/** The beginning of a media type (RFC 9110 §8.3.1). */
const MEDIA_TYPE = /^\s*[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+/;

const hasNoBody = (headers: IncomingHttpHeaders): boolean =>
  headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0;

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
  const isLast = /\bclose\b/i.test(request.headers.connection ?? '');
  // Without `Upgrade` the word asks for nothing; it still tells the operator routes of a proxy.
  lines.push(`connection: upgrade${isLast ? ', close' : ''}`);
  const bytes = Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]);
  // For Node it is a new connection: it would write answers to earlier requests of the old one in between, or never.
  afterAnswers(stream, () => {
    // Set after an earlier answer, to end an idle connection.
    if (stream instanceof Socket) stream.setTimeout(0);
    stream.unshift(bytes);
    server.emit('connection', stream);
  });
}
