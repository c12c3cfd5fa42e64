// Does the WebSocket upgrade get through whatever stands in front of the server?
import { type Check, type Finding, failed, passed } from '../check.js';
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
    try {
      const socket = await SignalingSocket.open(site, signal);
      try {
        socket.send({ type: 'ping' });
        await socket.next('pong');
      } finally {
        socket.close();
      }
      return passed('upgraded, and a ping is answered');
    } catch (error) {
      if (error instanceof UpgradeRefused) return refused(error.status);
      throw error;
    }
  },
};

function refused(status: number): Finding<never> {
  const detail = `the upgrade on / was answered ${status} instead of 101`;
  if (status === 403 || status === 401)
    return failed(
      detail,
      'Something in front of the server asks for a login or forbids WebSockets.',
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
