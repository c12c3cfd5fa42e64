// Opens the push services of the configuration, and chooses the one for each device. Only their modules are loaded.
import { PLATFORMS, type Platform } from '@couplet/protocol';
import { HttpClient } from '../http/outgoing.js';
import { type Metrics, type Reading, zeros } from '../observability/metrics.js';
import { readCredentials } from './credentials.js';
import { Delivery, ENDS, type Meter } from './delivery.js';
import type { PushService } from './notification.js';
import type { Notifier, NotifierDeps } from './notifier.js';

const SERVICES = ['apns', 'fcm', 'web_push', 'webhook'] as const;
type Service = (typeof SERVICES)[number];

/** Most hosts of Web Push that have a queue and circuit breaker at the same time. Chrome, Firefox and Safari use one each, Edge several. */
export const MAX_HOSTS = 32;

/** @throws ConfigError if credentials cannot be used */
export async function openNotifier(deps: NotifierDeps): Promise<Notifier> {
  const { config, clock, metrics, log, ca } = deps;
  const { apns, fcm, webPush, webhook } = readCredentials(config);
  const count = countEnds(metrics);
  const http = new HttpClient(ca);
  const shared = { clock, http, ca };
  const routes = new Map<Platform, ReturnType<typeof routeTo>>();

  const routeTo = (name: Service, service: PushService) => {
    const meter = count(name);
    const lanes = new Map<string, Delivery>();
    // A client can name any host below `*.push.apple.com`, also one that does not answer. Each host has its own queue and
    // circuit breaker, so it cannot stop the others.
    const laneOf = (host: string): Delivery | undefined => {
      const known = lanes.get(host);
      if (known !== undefined) return known;
      if (lanes.size === MAX_HOSTS) {
        const [unused] = [...lanes].find(([, { isIdle }]) => isIdle) ?? [];
        if (unused === undefined) return undefined;
        lanes.delete(unused);
      }
      const opened = new Delivery({ service: name, clock, log, meter });
      lanes.set(host, opened);
      return opened;
    };
    const notify: Notifier['notify'] = async (target, roomId, isNeeded) => {
      const prepared = service.prepare(target, roomId);
      if ('end' in prepared) {
        meter(prepared.end, 0);
        return { kind: prepared.end === 'dead' ? 'dead' : 'failed' };
      }
      const lane = laneOf(prepared.host ?? '');
      if (lane !== undefined) return lane.run(prepared.send, isNeeded);
      meter('queue_full', 0);
      return { kind: 'dropped' };
    };
    const close = () => {
      for (const lane of lanes.values()) lane.close();
      service.close?.();
    };
    return { notify, close };
  };

  if (webhook) {
    const { openWebhook } = await import('./webhook.js');
    const route = routeTo('webhook', openWebhook(webhook, shared));
    for (const platform of PLATFORMS) routes.set(platform, route);
  }
  if (apns) {
    const { openApns } = await import('./apns.js');
    routes.set('ios', routeTo('apns', openApns(apns, shared)));
  }
  if (fcm) {
    const { openFcm } = await import('./fcm.js');
    routes.set('android', routeTo('fcm', openFcm(fcm, shared)));
  }
  if (webPush) {
    const { openWebPush } = await import('./web-push.js');
    routes.set('web', routeTo('web_push', openWebPush(webPush, shared)));
  }
  const platforms = new Set(routes.keys());
  const without = PLATFORMS.filter((platform) => !platforms.has(platform));
  log.info({ platforms: [...platforms], without }, 'push notifications are on');
  return {
    platforms,
    vapidPublicKey: webPush?.publicKey,
    async notify(target, roomId, isNeeded) {
      const sent = routes.get(target.platform)?.notify(target, roomId, isNeeded);
      return (await sent) ?? { kind: 'dropped' };
    },
    async close() {
      for (const { close } of routes.values()) close();
      http.close();
    },
  };
}

/** Returns the meter of a push service. */
function countEnds(metrics: Metrics): (service: Service) => Meter {
  const counts = {
    apns: zeros(ENDS),
    fcm: zeros(ENDS),
    web_push: zeros(ENDS),
    webhook: zeros(ENDS),
  };
  metrics.add(
    'counter',
    'couplet_push_notifications_total',
    'Push notifications by push service and end. sent: the push service accepted it. dead: the token is no longer valid, and the server deletes it. queue_full, circuit_open: dropped without a request. All others: the cause of the failure.',
    { service: SERVICES, end: ENDS },
    () =>
      SERVICES.flatMap((service) =>
        ENDS.map((end): Reading => [{ service, end }, counts[service][end]]),
      ),
  );
  const time = metrics.timer(
    'couplet_push_duration_seconds',
    'Time until a push service has accepted a notification, in seconds, including all attempts and the time in the queue.',
    'service',
    SERVICES,
  );
  return (service) => (end, seconds) => {
    counts[service][end] += 1;
    if (end === 'sent') time(service, seconds);
  };
}
