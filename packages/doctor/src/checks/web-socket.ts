// Does the WebSocket upgrade get through whatever stands in front of the server?
import { type Check, type Finding, failed, passed } from '../check.js';
import { call } from '../http-call.js';
import type { Site } from '../site.js';
import { SignalingSocket, UpgradeRefused } from '../web-socket.js';

export const webSocketCheck: Check<Site> = {
  id: 'websocket',
  title: 'WebSocket',
  late: () => ({
    detail: 'the connection was not upgraded, or nothing came through it, in time',
    advice:
      'A proxy holds messages back: it must pass a WebSocket through both ways without buffering. deploy/nginx.conf and deploy/Caddyfile do.',
  }),
  async run(site, signal) {
    const status = await upgraded(site, signal);
    if (status !== 101) return refused(status);
    return (await ownPageRefused(site, signal)) ?? passed('upgraded, and a ping is answered');
  },
};

/** Resolves to the status of the handshake; with 101, a ping was answered. */
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

/** The server knows its own page by `Host`, where ALLOWED_ORIGINS does not list it. */
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
    `The proxy in front changes Host. It must pass on what the client sent, with its port: in nginx, proxy_set_header Host $http_host. Otherwise add ${origin} to ALLOWED_ORIGINS.`,
  );
}

function refused(status: number): Finding<never> {
  const detail = `the upgrade on / was answered ${status} instead of 101`;
  if (status === 403 || status === 401)
    return failed(
      detail,
      'Something in front of the server asks for a login or forbids WebSockets, or ALLOWED_ORIGINS does not list the page of --origin.',
    );
  if (status >= 500)
    return failed(
      detail,
      'The server is going away or away, or the proxy cannot reach it for WebSockets.',
    );
  if (status === 404)
    return failed(
      detail,
      'The WebSocket is on the path / of the server: the proxy must lead there.',
    );
  return failed(
    detail,
    'The proxy in front does not pass the upgrade on. nginx needs, in `location = /`: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; deploy/nginx.conf has them. In a cloud, turn WebSockets on for the load balancer.',
  );
}
