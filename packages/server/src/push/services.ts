// Opens the push services for which there are credentials, and chooses the one for each device. Only their modules are loaded.
import { PLATFORMS, type Platform } from '@couplet/protocol';
import type { Metrics } from '../observability/metrics.js';
import type { Config } from '../settings/config.js';
import { readCredentials } from './credentials.js';
import { Delivery, ENDS, type End, type Meter } from './delivery.js';
import { HttpClient } from './http-client.js';
import type { Notifier, NotifierDeps } from './notifier.js';

const SERVICES = ['apns', 'fcm', 'web_push', 'webhook'] as const;
type Service = (typeof SERVICES)[number];

/** Most hosts of Web Push that have a queue and circuit breaker at the same time. Chrome, Firefox and Safari use one each, Edge several. */
export const MAX_HOSTS = 32;

/** Sends a notification to one device. */
type Route = Notifier['notify'];

/** @throws ConfigError if credentials cannot be used */
export async function openServices(config: Config, deps: NotifierDeps): Promise<Notifier> {
  const { clock, metrics, log, ca } = deps;
  const credentials = readCredentials(config);
  const count = countEnds(metrics);
  const http = new HttpClient(ca);
  const deliveries = new Set<Delivery>();
  const delivery = (service: Service) => {
    const opened = new Delivery({ service, clock, log, meter: count(service) });
    deliveries.add(opened);
    return opened;
  };
  const routes = new Map<Platform, Route>();

  if (credentials.webhook) {
    const { Webhook } = await import('./webhook.js');
    const webhook = new Webhook(credentials.webhook, clock, http);
    const lane = delivery('webhook');
    for (const platform of PLATFORMS) {
      routes.set(platform, (target, roomId, isNeeded) =>
        lane.run(webhook.request(target, roomId), isNeeded),
      );
    }
  }
  let closeApns = () => {};
  if (credentials.apns) {
    const { Apns, isDeviceToken } = await import('./apns.js');
    const apns = new Apns(credentials.apns, clock, ca);
    closeApns = () => apns.close();
    const lane = delivery('apns');
    const meter = count('apns');
    routes.set('ios', async ({ token }, roomId, isNeeded) => {
      if (isDeviceToken(token))
        return lane.run((signal) => apns.send(token, roomId, signal), isNeeded);
      meter('dead', 0);
      return { kind: 'dead' };
    });
  }
  if (credentials.fcm) {
    const { Fcm } = await import('./fcm.js');
    const fcm = new Fcm(credentials.fcm, clock, http);
    const lane = delivery('fcm');
    routes.set('android', ({ token }, roomId, isNeeded) =>
      lane.run((signal) => fcm.send(token, roomId, signal), isNeeded),
    );
  }
  if (credentials.webPush) {
    const { parseSubscription, WebPush } = await import('./web-push.js');
    const webPush = new WebPush(credentials.webPush, clock, http);
    const meter = count('web_push');
    const byHost = new Map<string, Delivery>();
    // A client can name any host below `*.push.apple.com`, also one that does not answer. Each host has its own queue and
    // circuit breaker, so it cannot stop the others.
    const laneOf = (host: string): Delivery | undefined => {
      const known = byHost.get(host);
      if (known !== undefined) return known;
      if (byHost.size === MAX_HOSTS) {
        const [unused, lane] = [...byHost].find(([, { isIdle }]) => isIdle) ?? [];
        if (unused === undefined || lane === undefined) return undefined;
        byHost.delete(unused);
        deliveries.delete(lane);
      }
      const opened = delivery('web_push');
      byHost.set(host, opened);
      return opened;
    };
    routes.set('web', async ({ token }, roomId, isNeeded) => {
      const subscription = parseSubscription(token);
      if (subscription === undefined) {
        meter('dead', 0);
        return { kind: 'dead' };
      }
      if (!webPush.allows(subscription.endpoint)) {
        meter('host_not_allowed', 0);
        return { kind: 'failed' };
      }
      const lane = laneOf(subscription.endpoint.host);
      if (lane !== undefined) {
        return lane.run((signal) => webPush.send(subscription, roomId, signal), isNeeded);
      }
      meter('queue_full', 0);
      return { kind: 'dropped' };
    });
  }
  return {
    platforms: new Set(routes.keys()),
    vapidPublicKey: credentials.webPush?.publicKey,
    async notify(target, roomId, isNeeded) {
      const sent = routes.get(target.platform)?.(target, roomId, isNeeded);
      return (await sent) ?? { kind: 'dropped' };
    },
    async close() {
      for (const each of deliveries) each.close();
      closeApns();
      http.close();
    },
  };
}

/** Returns the meter of a push service. */
function countEnds(metrics: Metrics): (service: Service) => Meter {
  const zeros = () => Object.fromEntries(ENDS.map((end) => [end, 0])) as Record<End, number>;
  const counts = Object.fromEntries(SERVICES.map((service) => [service, zeros()])) as Record<
    Service,
    Record<End, number>
  >;
  metrics.countsOfPairs(
    'couplet_push_notifications_total',
    'Push notifications by push service and end. sent: the push service accepted it. dead: the token is no longer valid, and the server deletes it. queue_full, circuit_open: dropped without a request. All others: the cause of the failure.',
    ['service', 'end'],
    () => counts,
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
