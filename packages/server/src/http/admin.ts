// Guards the routes that are for the operator only: GET /rooms and GET /metrics.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { preHandlerAsyncHookHandler } from 'fastify';
import type { Config } from '../settings/config.js';
import { sendError } from './errors.js';
import { requestedHost } from './hosts.js';

const digest = (text: string) => createHash('sha256').update(text).digest();

/**
 * A hook that answers 401 to every request without the admin token. While no token is set, it lets requests from this
 * machine pass, unless PRODUCTION is set.
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
        : // Digests have one length, so the comparison tells nothing about the token, not even its length.
          timingSafeEqual(digest(request.headers.authorization ?? ''), expected);
    return isAllowed ? undefined : sendError(reply, 'unauthorized');
  };
}

/** 127.0.0.0/8 and ::1, as `socket.remoteAddress` spells them. */
const LOOPBACK_PEER = /^(127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+)$/i;
/** A name that no DNS answer can point to this machine: with any other, a page on the web could read the answer by DNS rebinding. */
const LOOPBACK_HOST = /^(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(:\d{1,5})?$/i;
/** Headers that proxies, tunnels and content delivery networks add. */
const ADDED_BY_PROXIES =
  /^(forwarded|via|cdn-loop|proxy-.+|(x|wl-proxy|cf|fly|fastly|akamai|true|ngrok|tailscale)-.+)$/;

/**
 * Tells whether a request was sent by a program on this machine, for itself. The address of the peer is not enough: a
 * proxy on this machine has it too, and so has a browser that shows a page from elsewhere.
 */
export function isFromThisMachine(request: IncomingMessage): boolean {
  const { origin, 'sec-fetch-site': site = 'none' } = request.headers;
  const host = requestedHost(request);
  return (
    LOOPBACK_PEER.test(request.socket.remoteAddress ?? '') &&
    LOOPBACK_HOST.test(host) &&
    (origin === undefined || origin === `http://${host}`) &&
    (site === 'none' || site === 'same-origin') &&
    // A bare `proxy_pass` of nginx adds no header and replaces `Host`. By default it speaks HTTP/1.0; set up for WebSockets,
    // it sends `Connection: upgrade` with every request.
    request.httpVersion !== '1.0' &&
    !/\bupgrade\b/i.test(request.headers.connection ?? '') &&
    !Object.keys(request.headers).some((name) => ADDED_BY_PROXIES.test(name))
  );
}
