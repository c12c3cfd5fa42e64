// Guards the operator routes, GET /rooms and GET /metrics, and serves the latter.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, preHandlerAsyncHookHandler } from 'fastify';
import { COST } from '../limits/address-budget.js';
import type { Metrics } from '../observability/metrics.js';
import type { Config } from '../settings/config.js';
import { sendError } from './errors.js';
import { requestedHost } from './hosts.js';
import { budgetOf } from './paced-requests.js';

const digest = (text: string) => createHash('sha256').update(text).digest();

/**
 * Returns a hook that answers 401 to every request without the admin token. If neither a token nor PRODUCTION is set, it
 * allows requests from this machine.
 */
export function adminGuard({
  production,
  adminToken,
}: Pick<Config, 'production' | 'adminToken'>): preHandlerAsyncHookHandler {
  const expected = digest(`Bearer ${adminToken}`);
  return async (request, reply) => {
    const isAllowed =
      adminToken === ''
        ? !production && isFromThisMachine(request.raw)
        : // All digests have the same length, so the comparison does not reveal even the length of the token.
          timingSafeEqual(digest(request.headers.authorization ?? ''), expected);
    return isAllowed ? undefined : sendError(reply, 'unauthorized');
  };
}

/** 127.0.0.0/8 and ::1, in the forms of `socket.remoteAddress`. */
const LOOPBACK_ADDRESS = /^(127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+)$/i;
/** Names that DNS rebinding cannot use. With any other name, a web page could read the answer. */
const LOOPBACK_HOST = /^(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(:\d{1,5})?$/i;
/** Headers that proxies, tunnels and content delivery networks add. */
const ADDED_BY_PROXIES =
  /^(forwarded|via|cdn-loop|proxy-.+|(x|wl-proxy|cf|fly|fastly|akamai|true|ngrok|tailscale)-.+)$/;

/**
 * Whether a local program sent a request on its own behalf. The remote address is not enough, because a local proxy, or a
 * browser that shows a page of another site, has the same address.
 */
export function isFromThisMachine(request: IncomingMessage): boolean {
  const { origin, 'sec-fetch-site': site = 'none' } = request.headers;
  const host = requestedHost(request);
  return (
    LOOPBACK_ADDRESS.test(request.socket.remoteAddress ?? '') &&
    LOOPBACK_HOST.test(host) &&
    (origin === undefined || origin === `http://${host}`) &&
    (site === 'none' || site === 'same-origin') &&
    // A plain `proxy_pass` of nginx adds no header and replaces `Host`. By default, it uses HTTP/1.0. Configured for
    // WebSockets, it sends `Connection: upgrade` with every request.
    request.httpVersion !== '1.0' &&
    !/\bupgrade\b/i.test(request.headers.connection ?? '') &&
    !Object.keys(request.headers).some((name) => ADDED_BY_PROXIES.test(name))
  );
}

export function metricsRoute(
  app: FastifyInstance,
  metrics: Metrics,
  guard: preHandlerAsyncHookHandler,
): void {
  app.get('/metrics', { preHandler: guard, schema: { hide: true } }, async (request, reply) => {
    budgetOf(request.raw)?.charge(COST.scrape);
    return reply.type(metrics.contentType).send(await metrics.text());
  });
}
