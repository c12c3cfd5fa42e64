// Codes → HTTP replies: the one place where a failed request gets its JSON body. Never HTML, a stack or an exception's message.
import type { Socket } from 'node:net';
import { type ErrorResponse, REST_ERRORS, type RestErrorCode } from '@couplet/protocol';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { Limited, Unavailable } from '../base/failures.js';
import { afterAnswers } from './pipelined-answers.js';

/** Headers of every answer but static files: it is true now, not later, and it is what its type says. */
export const ANSWER_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
};

/** Members of an error body beside its code. */
export type ErrorDetails = Omit<ErrorResponse, 'error'>;

/** A request that is at fault, found where no reply is at hand (validation, body parsing). */
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

/** Seconds after which a client may try again, where the cause has no better word. */
export const RETRY_AFTER_SECONDS = 2;

/** Answers with an error of the table. */
export function sendError(
  reply: FastifyReply,
  code: RestErrorCode,
  details: ErrorDetails = {},
): FastifyReply {
  if (code === 'unavailable') reply.header('retry-after', String(RETRY_AFTER_SECONDS));
  if (code === 'unauthorized') reply.header('www-authenticate', 'Bearer');
  // Some of Fastify's own refusals come before any hook.
  reply.headers(ANSWER_HEADERS);
  return reply.code(REST_ERRORS[code].status).send({ error: code, ...details });
}

/** Answers 429: the same request may succeed after so many seconds. */
export function sendLimited(reply: FastifyReply, seconds: number): FastifyReply {
  return sendError(reply.header('retry-after', String(seconds)), 'rate_limited');
}

/** Answers 403 to a request without any device secret, where REQUIRE_DEVICE_SECRETS demands one. */
export function sendSecretRequired(reply: FastifyReply): FastifyReply {
  return sendError(reply, 'forbidden', {
    details: 'this server requires the secret of the device',
  });
}

/** Fastify's own refusals, in our codes; what is not here is a bug of ours. */
const FASTIFY_CODES: Record<string, RestErrorCode | undefined> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_BODY_TOO_LARGE: 'payload_too_large',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'invalid_request',
  FST_ERR_BAD_URL: 'not_found',
  // A method that Node's parser takes and Fastify has never heard of.
  FST_ERR_NOT_FOUND: 'not_found',
  FST_ERR_ASYNC_CONSTRAINT: 'not_found',
  FST_ERR_MAX_PARAM_LENGTH: 'not_found',
  // No route takes QUERY, but Fastify wants its content type before it looks.
  FST_ERR_ROUTE_MISSING_CONTENT_TYPE: 'not_found',
};

/** Fastify's error handler: a known fault gets its code, all else is logged and answered `internal_error`. */
export function handleError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  if (error instanceof RequestFault) {
    sendError(reply.headers(error.headers), error.code, error.details);
  } else if (error instanceof Limited) {
    sendLimited(reply, error.seconds);
  } else if (error instanceof Unavailable) {
    if (!error.isReported) request.log.error({ err: error.cause }, 'store unavailable');
    sendError(reply, 'unavailable');
  } else if (request.raw.destroyed && (error as NodeJS.ErrnoException).code === 'ECONNRESET') {
    // The client hung up amid its body: no bug of ours, and anyone could fill the log with it.
    sendError(reply, 'invalid_request');
  } else {
    const code = FASTIFY_CODES[(error as FastifyError).code];
    if (code === undefined) request.log.error({ err: error }, 'request failed');
    sendError(reply, code ?? 'internal_error');
  }
}

/** Node's refusals of bytes that are not HTTP, in our codes. */
const PARSER_CODES: Record<string, ClientErrorCode | undefined> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
};

/** Codes that a connection whose bytes never became a request can get. */
export type ClientErrorCode = 'invalid_request' | 'headers_too_large' | 'request_timeout';

/** Answers a connection whose bytes never became a request. */
export function handleClientError(
  error: NodeJS.ErrnoException,
  socket: Socket,
  onAnswer: (code: ClientErrorCode) => void = () => {},
): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  // Node reads on, and finds fault with all that follows.
  if (faulty.has(socket)) return;
  faulty.add(socket);
  const code = PARSER_CODES[error.code ?? ''] ?? 'invalid_request';
  afterAnswers(socket, () => {
    onAnswer(code);
    endRawResponse(socket, code);
  });
}

/** Sockets on which no request can begin any more. */
const faulty = new WeakSet<Socket>();

/** Writes a whole HTTP error response to a bare socket and closes it: for requests that Fastify never sees. */
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
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_TEXT[status] ?? 'Error'}\r\n${lines.join('')}\r\n${body}`,
  );
}

const STATUS_TEXT: Record<number, string | undefined> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  408: 'Request Timeout',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  503: 'Service Unavailable',
};
