// Checks that the WebSocket upgrade passes all proxies in front of the server.
import { type Check, type Finding, failed, passed } from '../check.js';
import { call } from '../http-call.js';
import type { Site } from '../site.js';
import { SignalingSocket, UpgradeRefused } from '../web-socket.js';

export const webSocketCheck: Check<Site> = {
  id: 'websocket',
  title: 'WebSocket',
  late: () => ({
    detail: 'the connection was not upgraded in time, or no message arrived',
    advice:
      'A proxy delays messages. It must forward a WebSocket in both directions without buffering, as in deploy/nginx.conf and deploy/Caddyfile.',
  }),
  async run(site, signal) {
    const status = await upgraded(site, signal);
    if (status !== 101) return refused(status);
    return (await ownPageRefused(site, signal)) ?? passed('upgraded, and a ping is answered');
  },
};

/** Resolves to the status of the handshake. With 101, a ping was answered too. */
async function upgraded(site: Site, signal: AbortSignal): Promise<number> {
  try {
    const socket = await SignalingSocket.open(site, signal);
    try {
      socket.send({ type: 'ping' });
      await socket.next('pong');
    } finally {
      socket.close();
    }
    return 101;
  } catch (error) {
    if (error instanceof UpgradeRefused) return error.status;
    throw error;
  }
}

/** The server allows its own page by comparing the origin with `Host`. This fails if a proxy changes `Host`. */
async function ownPageRefused(
  site: Site,
  signal: AbortSignal,
): Promise<Finding<never> | undefined> {
  const page = await call(site, signal, 'GET', '/demo/');
  if (page.status !== 200) return undefined;
  const { origin } = new URL(site.base);
  if ((await upgraded({ ...site, origin }, signal)) !== 403) return undefined;
  return failed(
    `the WebSocket of the server's own page, ${origin}/demo/, is refused (403)`,
    `A proxy changes Host. It must forward the client's value with its port: in nginx, proxy_set_header Host $http_host. Otherwise add ${origin} to ALLOWED_ORIGINS.`,
  );
}

function refused(status: number): Finding<never> {
  const detail = `the upgrade on / was answered ${status} instead of 101`;
  if (status === 403 || status === 401)
    return failed(
      detail,
      'A proxy asks for a login or forbids WebSockets, or ALLOWED_ORIGINS does not list the page of --origin.',
    );
  if (status >= 500)
    return failed(
      detail,
      'The server is down or shutting down, or the proxy cannot reach it for WebSockets.',
    );
  if (status === 404)
    return failed(
      detail,
      'The WebSocket is on the path / of the server. The proxy must forward to it.',
    );
  return failed(
    detail,
    'A proxy does not forward the upgrade. nginx needs, in `location = /`: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; see deploy/nginx.conf. In a cloud, enable WebSockets for the load balancer.',
  );
}
