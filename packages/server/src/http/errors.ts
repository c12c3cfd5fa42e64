// Writes the JSON body of every failed request from its error code. It never contains HTML, a stack or the text of an exception.
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { type ErrorResponse, REST_ERRORS, type RestErrorCode } from '@couplet/protocol';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { Limited, Unavailable } from '../base/failures.js';
import { afterAnswers } from './pipelined-answers.js';

/** Headers of every answer except static files: it is not cached, and its type is not guessed. */
export const ANSWER_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
};

/** Fields of an error body beside its code. */
export type ErrorDetails = Omit<ErrorResponse, 'error'>;

/** A fault of a request, thrown by code that has no reply, such as validation and body parsing. */
export class RequestFault extends Error {
  readonly code: RestErrorCode;
  readonly details: ErrorDetails;
  readonly headers: Readonly<Record<string, string>>;
  constructor(
    code: RestErrorCode,
    details: ErrorDetails = {},
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(code);
    this.headers = headers;
    this.name = 'RequestFault';
    this.code = code;
    this.details = details;
  }
}

/** Default of `Retry-After`, in seconds. */
export const RETRY_AFTER_SECONDS = 2;

/** Answers with an error code. */
export function sendError(
  reply: FastifyReply,
  code: RestErrorCode,
  details: ErrorDetails = {},
): FastifyReply {
  if (code === 'unavailable') reply.header('retry-after', String(RETRY_AFTER_SECONDS));
  if (code === 'unauthorized') reply.header('www-authenticate', 'Bearer');
  // Fastify refuses some requests before any hook has set the headers.
  reply.headers(ANSWER_HEADERS);
  return reply.code(REST_ERRORS[code].status).send({ error: code, ...details });
}

/** Answers 429. The same request may succeed after `seconds`. */
export function sendLimited(reply: FastifyReply, seconds: number): FastifyReply {
  return sendError(reply.header('retry-after', String(seconds)), 'rate_limited');
}

/** Answers 403 to a request without a device secret if REQUIRE_DEVICE_SECRETS is set. */
export function sendSecretRequired(reply: FastifyReply): FastifyReply {
  return sendError(reply, 'forbidden', {
    details: 'this server requires the device secret',
  });
}

/** Fastify's errors for faulty requests and their codes here. Any other error is a bug of the server. */
const FASTIFY_CODES: Record<string, RestErrorCode | undefined> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_BODY_TOO_LARGE: 'payload_too_large',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'invalid_request',
  FST_ERR_BAD_URL: 'not_found',
  // A method that Node's parser accepts and Fastify does not support.
  FST_ERR_NOT_FOUND: 'not_found',
  FST_ERR_ASYNC_CONSTRAINT: 'not_found',
  FST_ERR_MAX_PARAM_LENGTH: 'not_found',
  // No route has the method QUERY, but Fastify checks its content type before the route.
  FST_ERR_ROUTE_MISSING_CONTENT_TYPE: 'not_found',
};

/** Error handler of Fastify: a known fault gets its code; any other error is logged and answered `internal_error`. */
export function handleError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  if (error instanceof RequestFault) {
    sendError(reply.headers(error.headers), error.code, error.details);
  } else if (error instanceof Limited) {
    sendLimited(reply, error.seconds);
  } else if (error instanceof Unavailable) {
    if (!error.isReported) request.log.error({ err: error.cause }, 'store unavailable');
    sendError(reply, 'unavailable');
  } else if (request.raw.destroyed && (error as NodeJS.ErrnoException).code === 'ECONNRESET') {
    // The client closed the connection during its body. This is not logged, because clients could fill the log with it.
    sendError(reply, 'invalid_request');
  } else {
    const code = FASTIFY_CODES[(error as FastifyError).code];
    if (code === undefined) request.log.error({ err: error }, 'request failed');
    sendError(reply, code ?? 'internal_error');
  }
}

/** Errors of Node's HTTP parser and their codes here. */
const PARSER_CODES: Record<string, ClientErrorCode | undefined> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
};

/** Codes for a connection whose bytes were not a complete request. */
export const CLIENT_ERROR_CODES = [
  'invalid_request',
  'headers_too_large',
  'request_timeout',
] as const satisfies readonly RestErrorCode[];
type ClientErrorCode = (typeof CLIENT_ERROR_CODES)[number];

/** Answers a connection whose bytes were not a complete request. */
export function handleClientError(
  error: NodeJS.ErrnoException,
  socket: Socket,
  onAnswer: (code: ClientErrorCode) => void = () => {},
): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  // Node continues to read and reports an error for all further bytes.
  if (faulty.has(socket)) return;
  faulty.add(socket);
  const code = PARSER_CODES[error.code ?? ''] ?? 'invalid_request';
  afterAnswers(socket, () => {
    onAnswer(code);
    endRawResponse(socket, code);
  });
}

/** Sockets that have failed. No further request is read from them. */
const faulty = new WeakSet<Socket>();

/** Writes a complete HTTP error response to a socket and closes it, for requests that do not reach Fastify. */
export function endRawResponse(
  socket: Pick<Socket, 'end' | 'once' | 'destroy'>,
  code: RestErrorCode,
  headers: Record<string, string> = {},
): void {
  const body = JSON.stringify({ error: code });
  const lines = Object.entries({
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
    ...ANSWER_HEADERS,
    connection: 'close',
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  const { status } = REST_ERRORS[code];
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`);
}
