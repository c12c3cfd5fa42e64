// Implements the steps of every request: request id, headers of the answer, refusals that depend on no route, log line and
// metrics.
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { COST } from '../limits/address-budget.js';
import type { Logger } from '../observability/logger.js';
import type { RequestMeter } from '../observability/metrics.js';
import { PREFLIGHT_HEADERS } from './cors.js';
import { ANSWER_HEADERS, sendError } from './errors.js';
import { budgetOf } from './paced-requests.js';
import type { HttpServices, OnAnswered } from './services.js';

/** Makes request ids: short, unique across restarts, and never from the client, because its value could identify a user. */
export function requestIds(): () => string {
  const run = randomBytes(3).toString('hex');
  let count = 0;
  return () => `${run}-${(++count).toString(36)}`;
}

/**
 * Counts, charges and logs an answered request. The log line never contains the URL, because its query can contain a room
 * id; a budget limits the lines of each address.
 */
export const onAnswered =
  (measure: RequestMeter, log: Logger): OnAnswered =>
  (request, url, { status, ms, bytes }) => {
    const { method } = request;
    measure(method, url, status, ms / 1000);
    const budget = budgetOf(request.raw);
    budget?.charge(bytes * COST.answerByte);
    // The metrics count all requests. A line for each of them would take 8 % more of the main thread's time.
    const level = status < 400 && url !== '/' ? 'debug' : 'info';
    // Without a log, Fastify's replacement has no levels.
    if (!log.isLevelEnabled?.(level) || budget?.mayLog() === false) return;
    const line = { method, route: url ?? 'none', status, ms: Math.round(ms * 10) / 10 };
    if (level === 'debug') request.log.debug(line, 'request');
    else if (url === '/') request.log.info(line, 'Health check');
    else request.log.info(line, 'request');
  };

/** Routes that are served during a shutdown. */
const PROBES = new Set(['/healthz', '/readyz', '/metrics']);

/**
 * Adds one hook for each stage, with callbacks: promises and more hooks would be half of the cost of a request. Requests for
 * another host and, during a shutdown, all but the probes are refused. OPTIONS is always answered 204, even if it is not a
 * complete preflight.
 */
export function onEveryRequest(app: FastifyInstance, services: HttpServices): void {
  const { config, hostFault, corsHeaders, lifecycle, answered, log } = services;
  let hasWarned = config.trustProxy !== '';

  app.addHook('onRequest', (request, reply, done) => {
    const { raw } = request;
    const { headers } = raw;
    reply.headers(ANSWER_HEADERS).header('x-request-id', request.id);
    if (headers['content-type'] !== 'application/json') dropUnusedType(raw);
    const fault = hostFault(raw);
    if (fault !== undefined) {
      return void sendError(reply.header('connection', 'close'), fault);
    }
    reply.headers(corsHeaders(headers.origin));
    if (raw.method === 'OPTIONS') {
      return void reply.code(204).headers(PREFLIGHT_HEADERS).send();
    }
    if (!hasWarned && headers['x-forwarded-for'] !== undefined) {
      hasWarned = true;
      log.warn(
        'a request has X-Forwarded-For, but TRUST_PROXY is not set: all clients of that proxy share the limits of one address',
      );
    }
    if (lifecycle.isDraining && !PROBES.has(request.routeOptions.url ?? '')) {
      // Not logged as a fault; otherwise, every rolling update would log that the store is unavailable.
      return void sendError(reply, 'unavailable');
    }
    done();
  });
  // A route for OPTIONS of any path. The hook answers before its handler.
  app.options('*', { schema: { hide: true } }, () => {});

  app.addHook('onSend', ({ raw }, reply, _payload, done) => {
    // A connection that stays open after its answer would delay the shutdown. After a refused body, Node would read the
    // rest of it only to discard it.
    if (lifecycle.isDraining || (!raw.complete && isLong(raw, config.maxBodyBytes))) {
      reply.header('connection', 'close');
    }
    done();
  });

  app.addHook('onResponse', (request, reply, done) => {
    const { statusCode: status, elapsedTime: ms } = reply;
    const bytes = Number(reply.getHeader('content-length') ?? 0);
    answered(request, request.routeOptions.url, { status, ms, bytes });
    done();
  });
}

/** The beginning of a media type (RFC 9110 §8.3.1). */
const MEDIA_TYPE = /^\s*[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+/;

/** Removes a content type that is malformed, or that has no body. Fastify refuses an unknown type before it looks for a body. */
function dropUnusedType({ headers }: IncomingMessage): void {
  const hasBody =
    headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0;
  if (!hasBody || !MEDIA_TYPE.test(headers['content-type'] ?? '')) delete headers['content-type'];
}

/** Whether the body is larger than the limit, or of unknown size. */
function isLong({ headers }: IncomingMessage, maxBodyBytes: number): boolean {
  const length = headers['content-length'] ?? headers['transfer-encoding'];
  return length !== undefined && !(Number(length) <= maxBodyBytes);
}
