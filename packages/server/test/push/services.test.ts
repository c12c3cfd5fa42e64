// Every push service, against a peer on loopback that checks what it gets as the real one does.
import { createECDH } from 'node:crypto';
import type { PushTarget } from '@couplet/protocol';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Metrics } from '../../src/observability/metrics.js';
import { TOKEN_MS, UNUSED_MS } from '../../src/push/apns.js';
import { ATTEMPT_MS, MAX_FAILURES } from '../../src/push/delivery.js';
import { MAX_HOSTS, openNotifier } from '../../src/push/services.js';
import { encrypted, openWebPush } from '../../src/push/web-push.js';
import { parseConfig } from '../../src/settings/config.js';
import { captureLog } from '../support/captured-log.js';
import { startApns } from '../support/push/apns-peer.js';
import { startFcm } from '../support/push/fcm-peer.js';
import { type Answer, certificate, type Script } from '../support/push/script.js';
import { decrypted, startWebPush } from '../support/push/web-push-peer.js';
import { startWebhook } from '../support/push/webhook-peer.js';

const ROOM = 'f'.repeat(48);

/** Announces the timers that are set. */
class TimedClock extends FakeClock {
  readonly #set: { ms: number; resolve: () => void }[] = [];

  /** Resolves when the next timer of this duration is set. */
  timer(ms: number): Promise<void> {
    return new Promise((resolve) => this.#set.push({ ms, resolve }));
  }

  override after(ms: number, callback: () => void) {
    const cancel = super.after(ms, callback);
    for (const each of this.#set) if (each.ms === ms) each.resolve();
    return cancel;
  }
}

interface Peer {
  script: Script<{ roomId: string }>;
  faults: string[];
  settings: Record<string, string>;
  target: PushTarget;
}

/** A notifier with one configured service, and its peer. */
async function opened<P extends Peer>(
  start: (clock: TimedClock) => Promise<P>,
  env: (peer: P) => Record<string, string> = () => ({}),
) {
  const clock = new TimedClock();
  const metrics = new Metrics();
  const log = captureLog();
  const peer = await start(clock);
  const { script, target } = peer;
  const deps = { clock, metrics, log: log.log, ca: certificate.cert };
  const config = parseConfig({ ...peer.settings, ...env(peer) });
  const notifier = await openNotifier({ config, ...deps });
  onTestFinished(async () => {
    await notifier.close();
    expect(peer.faults).toEqual([]);
    expect(clock.pending).toBe(0);
    for (const secret of [ROOM, target.token]) expect(log.text()).not.toContain(secret);
  });
  const notify = (other?: PushTarget, isNeeded?: () => boolean) =>
    notifier.notify(other ?? target, ROOM, isNeeded);
  /** The ends that were counted. */
  const ends = async () => {
    const counts = /^couplet_push_notifications_total{.*end="(\w+)"} ([1-9]\d*)$/gm;
    return [...(await metrics.text()).matchAll(counts)].map(([, end, count]) => `${end} ${count}`);
  };
  return { clock, peer, script, notifier, notify, ends, lines: log.lines };
}

const apns = () => opened(startApns);
const fcm = () => opened(startFcm);
const webhook = () => opened(startWebhook);
type WebPush = Awaited<ReturnType<typeof startWebPush>>;
const webPush = (env?: (peer: WebPush) => Record<string, string>) => opened(startWebPush, env);

const apnsError = (status: number, reason: string): Answer => ({ status, body: { reason } });

const fcmError = (status: number, errorCode: string, field?: string): Answer => ({
  status,
  body: {
    error: {
      details: [
        { '@type': 'type.googleapis.com/google.firebase.fcm.v1.FcmError', errorCode },
        ...(field ? [{ fieldViolations: [{ field }] }] : []),
      ],
    },
  },
});

const SERVICES = [
  {
    name: 'APNs',
    open: apns,
    dead: [apnsError(410, 'Unregistered'), apnsError(400, 'BadDeviceToken')],
    failed: [
      [apnsError(400, 'DeviceTokenNotForTopic'), 'rejected'],
      [apnsError(403, 'InvalidProviderToken'), 'credentials'],
      [apnsError(403, 'ExpiredProviderToken'), 'credentials'],
      [apnsError(400, 'BadTopic'), 'rejected'],
      [{ status: 400, body: 'not JSON' }, 'rejected'],
    ],
  },
  {
    name: 'FCM',
    open: fcm,
    // The first notification uses the connection of the access token.
    cuts: 2,
    dead: [
      fcmError(404, 'UNREGISTERED'),
      fcmError(400, 'INVALID_ARGUMENT'),
      fcmError(400, 'INVALID_ARGUMENT', 'message.token'),
      fcmError(403, 'SENDER_ID_MISMATCH'),
    ],
    failed: [
      [fcmError(400, 'INVALID_ARGUMENT', 'message.android.ttl'), 'rejected'],
      [{ status: 404, body: 'no such project' }, 'rejected'],
      [{ status: 403, body: { error: { status: 'PERMISSION_DENIED' } } }, 'credentials'],
      [fcmError(401, 'THIRD_PARTY_AUTH_ERROR'), 'rejected'],
    ],
  },
  {
    name: 'Web Push',
    open: webPush,
    dead: [{ status: 404 }, { status: 410 }],
    failed: [
      [{ status: 403 }, 'rejected'],
      [{ status: 301, headers: { location: '/elsewhere' } }, 'rejected'],
    ],
  },
  {
    name: 'the webhook',
    open: webhook,
    dead: [{ status: 410 }],
    failed: [
      [{ status: 401 }, 'credentials'],
      [{ status: 404 }, 'rejected'],
      [{ status: 302, headers: { location: '/elsewhere' } }, 'rejected'],
      [{ status: 101, headers: { connection: 'upgrade', upgrade: 'x' } }, 'unreachable'],
    ],
  },
] as {
  name: string;
  open: typeof webhook;
  cuts?: number;
  dead: Answer[];
  failed: [Answer, string][];
}[];

describe.each(SERVICES)('$name', ({ open, cuts = 1, dead, failed }) => {
  test.each(dead)('%j: the token is dead', async (answer) => {
    const { notify, script, ends } = await open();
    script.answer(answer);
    expect(await notify()).toEqual({ kind: 'dead' });
    expect(await ends()).toEqual(['dead 1']);
  });

  test.each(failed)('%j: failed, and counted as %s', async (answer, cause) => {
    const { notify, script, ends } = await open();
    script.answer(answer);
    expect(await notify()).toEqual({ kind: 'failed' });
    expect(script.received).toHaveLength(1);
    expect(await ends()).toEqual([`${cause} 1`]);
  });

  test('a notification is not sent again if its device has come meanwhile', async () => {
    const { notify, script, clock, ends } = await open();
    let isNeeded = true;
    script.answer({ status: 429, headers: { 'retry-after': '60' } });
    const pause = clock.timer(60_000);
    const outcome = notify(undefined, () => isNeeded);
    await pause;
    isNeeded = false;
    clock.advance(60_000);
    expect(await outcome).toEqual({ kind: 'dropped' });
    expect(script.received).toHaveLength(1);
    expect(await ends()).toEqual([]);
  });

  test('a notification answered 429 is sent again after the time of Retry-After, a number or a date', async () => {
    const { notify, script, clock } = await open();
    script.answer({ status: 429, headers: { 'retry-after': '7' } });
    const pause = clock.timer(7000);
    const outcome = notify();
    await pause;
    const date = new Date(clock.now() + 16_000).toUTCString();
    script.answer({ status: 503, headers: { 'retry-after': date } });
    const second = clock.timer(9000);
    clock.advance(7000);
    await second;
    clock.advance(9000);
    expect(await outcome).toEqual({ kind: 'sent' });
    expect(script.received).toHaveLength(3);
  });

  test('a service that hangs is given up after ten seconds, and others are sent meanwhile', async () => {
    const { notify, script, clock, ends } = await open();
    script.answer('hang');
    const hanging = notify();
    await script.requests(1);
    expect(await notify()).toEqual({ kind: 'sent' });
    clock.advance(ATTEMPT_MS);
    expect(await hanging).toEqual({ kind: 'failed' });
    expect(await notify()).toEqual({ kind: 'sent' });
    expect((await ends()).sort()).toEqual(['sent 2', 'timeout 1']);
  });

  test('a connection that is cut fails one notification, and the next one gets a new connection', async () => {
    const { notify, script, ends } = await open();
    script.answer(...Array.from({ length: cuts }, () => 'cut' as const));
    expect(await notify()).toEqual({ kind: 'failed' });
    expect(await notify()).toEqual({ kind: 'sent' });
    expect((await ends()).sort()).toEqual(['sent 1', 'unreachable 1']);
  });

  test('a kept connection that is cut is replaced within the notification', async () => {
    const { notify, script } = await open();
    await notify();
    script.answer('cut');
    expect(await notify()).toEqual({ kind: 'sent' });
  });

  test('close ends what is being sent, and no timer is left', async () => {
    const { notify, script, notifier, clock } = await open();
    script.answer('hang', { status: 503 });
    const pause = clock.timer(1000);
    const outcomes = [notify(), notify()];
    await script.requests(2);
    await pause;
    await notifier.close();
    expect(await Promise.all([...outcomes, notify()])).toEqual(
      Array.from({ length: 3 }, () => ({ kind: 'dropped' })),
    );
  });
});

describe('APNs', () => {
  test('uses one token, which it renews after 40 minutes', async () => {
    const { notify, peer, clock } = await apns();
    await Promise.all([notify(), notify(), notify()]);
    clock.advance(TOKEN_MS);
    await notify();
    clock.advance(1);
    await notify();
    const tokens = peer.script.received.map(({ jwt }) => jwt);
    expect(tokens.map((jwt) => jwt === tokens[0])).toEqual([true, true, true, true, false]);
  });

  test('a token that APNs calls expired is replaced if it is older than 20 minutes', async () => {
    const { notify, peer, clock } = await apns();
    await notify();
    clock.advance(TOKEN_MS / 2 + 1);
    peer.script.answer(apnsError(403, 'ExpiredProviderToken'));
    const pause = clock.timer(0);
    const outcome = notify();
    await pause;
    clock.advance(0);
    expect(await outcome).toEqual({ kind: 'sent' });
    expect(new Set(peer.script.received.map(({ jwt }) => jwt)).size).toBe(2);
  });

  test('a text that is no token never reaches it', async () => {
    const { notify, peer } = await apns();
    for (const token of ['../x', 'zz', 'ab'.repeat(513)]) {
      expect(await notify({ platform: 'ios', token })).toEqual({ kind: 'dead' });
    }
    expect(peer.connections()).toBe(0);
  });

  test('a notification that GOAWAY refuses is sent again on a new connection', async () => {
    const { notify, peer } = await apns();
    await notify();
    peer.refuseNext();
    expect(await notify()).toEqual({ kind: 'sent' });
    expect(peer.connections()).toBe(2);
  });

  test('GOAWAY between two notifications leads to a new connection', async () => {
    const { notify, peer } = await apns();
    await notify();
    await peer.goAway();
    expect(await notify()).toEqual({ kind: 'sent' });
    expect(peer.connections()).toBe(2);
  });

  test('a connection that was not used for a minute is replaced', async () => {
    const { notify, peer, clock } = await apns();
    for (const [unusedMs, connections] of [
      [0, 1],
      [UNUSED_MS - 1, 1],
      [UNUSED_MS, 2],
    ] as const) {
      clock.advance(unusedMs);
      await notify();
      expect(peer.connections()).toBe(connections);
    }
  });
});

describe('FCM', () => {
  test('one access token serves all notifications until a minute before its end', async () => {
    const { notify, peer, clock } = await fcm();
    await Promise.all([notify(), notify(), notify()]);
    clock.advance(3538_999);
    await notify();
    expect(peer.grants.received).toHaveLength(1);
    clock.advance(1);
    await notify();
    expect(peer.grants.received).toHaveLength(2);
  });

  test('an access token that was revoked is replaced once', async () => {
    const { notify, peer, clock } = await fcm();
    await notify();
    peer.revoke();
    const pause = clock.timer(0);
    const outcome = notify();
    await pause;
    clock.advance(0);
    expect(await outcome).toEqual({ kind: 'sent' });
    expect(peer.grants.received).toHaveLength(2);
  });

  test('an account that Google does not accept is counted as wrong credentials', async () => {
    const { notify, peer, ends } = await fcm();
    peer.grants.answer({ status: 400, body: { error: 'invalid_grant' } });
    expect(await notify()).toEqual({ kind: 'failed' });
    expect(await ends()).toEqual(['credentials 1']);
  });
});

describe('Web Push', () => {
  test('encrypts as in the example of RFC 8291', () => {
    const bytes = (text: string) => Buffer.from(text, 'base64url');
    const text = 'When I grow up, I want to be a watermelon';
    const sender = createECDH('prime256v1');
    sender.setPrivateKey(bytes('yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw'));
    const browser = createECDH('prime256v1');
    browser.setPrivateKey(bytes('q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94'));
    const auth = bytes('BTBZMqHH6r4Tts7J_aSIgg');
    const endpoint = new URL('https://push.example.net');
    const subscription = { endpoint, p256dh: browser.getPublicKey(), auth };
    const message = encrypted(text, subscription, bytes('DGv6ra1nlYgDCS1FRnbzlw'), sender);
    expect(message?.toString('base64url')).toBe(
      'DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN',
    );
    expect(decrypted(message as Buffer, browser, auth)).toBe(text);
  });

  test.each([
    'https://localhost:1/push',
    'https://127.0.0.1/push',
    'https://fcm.googleapis.com.example.org/push',
    'https://push.apple.com/push',
    'https://user@fcm.googleapis.com/push',
    'http://fcm.googleapis.com/push',
  ])('a subscription at %s, which a client chose, is not used', async (endpoint) => {
    const { notify, peer, ends } = await webPush();
    const token = JSON.stringify(peer.subscription(endpoint));
    expect(await notify({ platform: 'web', token })).toEqual({ kind: 'failed' });
    expect(await ends()).toEqual(['host_not_allowed 1']);
  });

  test('allows the hosts of known push services, the configured hosts, and all names below one with an asterisk', () => {
    const vapid = { hosts: ['*.Example.org', 'push.example.net:443'] };
    const { allows } = openWebPush(vapid as never, {} as never);
    for (const url of [
      'https://fcm.googleapis.com/fcm/send/a',
      'https://updates.push.services.mozilla.com/wpush/v2/a',
      'https://web.push.apple.com/a',
      'https://wns2-par02p.notify.windows.com/w/?token=a',
      'https://a.b.example.org/',
      'https://push.example.net/',
    ]) {
      expect(allows(new URL(url)), url).toBe(true);
    }
    expect(allows(new URL('https://example.org/'))).toBe(false);
  });

  test('hosts that fail, which clients can name below an asterisk, do not stop the others', async () => {
    const { notify, peer, ends } = await webPush(({ origin }) => ({
      WEB_PUSH_HOSTS: `*.0.1:${new URL(origin).port}`,
    }));
    const at = (host: string) => {
      const endpoint = `https://${host}:${new URL(peer.origin).port}/push`;
      return notify({ platform: 'web', token: JSON.stringify(peer.subscription(endpoint)) });
    };
    // Nothing listens at these loopback addresses. There are more of them than hosts with a queue.
    for (let n = 2; n <= MAX_HOSTS + 1; n++) await at(`127.${n}.0.1`);
    for (let n = 0; n < MAX_FAILURES; n++) await at('127.1.0.1');
    expect(await at('127.1.0.1')).toEqual({ kind: 'dropped' });
    expect(await at('127.0.0.1')).toEqual({ kind: 'sent' });
    expect(await ends()).toContain('circuit_open 1');
  });

  test('hosts that do not exist, which clients can name below an asterisk, do not stop the others', async () => {
    const { notify, peer, ends } = await webPush(() => ({ WEB_PUSH_HOSTS: '*.invalid' }));
    const token = JSON.stringify(peer.subscription('https://a.invalid/push'));
    const tries = Array.from({ length: MAX_FAILURES }, () => notify({ platform: 'web', token }));
    await Promise.all(tries);
    expect(await notify({ platform: 'web', token })).toEqual({ kind: 'failed' });
    expect(await ends()).toEqual([`unknown_host ${MAX_FAILURES + 1}`]);
  });

  test.each([
    'not JSON',
    'null',
    '{"endpoint":"https://fcm.googleapis.com/a"}',
    '{"endpoint":"nowhere","keys":{"p256dh":"","auth":""}}',
    // A key of the right length that is not on the curve.
    `{"endpoint":"https://fcm.googleapis.com/a","keys":{"p256dh":"${'A'.repeat(87)}","auth":"${'A'.repeat(22)}"}}`,
  ])('%s: a token that no browser made is dead', async (token) => {
    const { notify } = await webPush();
    expect(await notify({ platform: 'web', token })).toEqual({ kind: 'dead' });
  });
});

describe('the webhook', () => {
  test('gets the platform and the token, and the same id in all attempts of one notification', async () => {
    const { notify, peer, clock } = await webhook();
    peer.script.answer({ status: 500 });
    const pause = clock.timer(1000);
    const outcome = notify({ platform: 'ios', token: 'a' });
    await pause;
    clock.advance(1000);
    await outcome;
    await notify({ platform: 'web', token: 'b' });
    const [first, second, third] = peer.script.received;
    expect(second).toEqual(first);
    expect(first).toMatchObject({ platform: 'ios', token: 'a', roomId: ROOM });
    expect(third).toMatchObject({ platform: 'web', token: 'b' });
    expect(third?.id).not.toBe(first?.id);
  });

  test('gets only notifications for platforms without a service of their own; the log names platforms without any', async () => {
    const { notify, peer } = await opened(async (clock) => {
      const [own, others] = [await startApns(clock), await startWebhook(clock)];
      return { ...own, others, settings: { ...own.settings, ...others.settings } };
    });
    await notify();
    await notify({ platform: 'web', token: 'b' });
    expect(peer.script.received).toHaveLength(1);
    expect(peer.others.script.received).toMatchObject([{ platform: 'web', token: 'b' }]);
    const { lines } = await apns();
    expect(lines()).toMatchObject([{ platforms: ['ios'], without: ['android', 'web'] }]);
  });
});
