// The command `couplet push:check`, against push services on loopback.
import { FakeClock } from '@couplet/testkit/fake-clock';
import { expect, onTestFinished, test } from 'vitest';
import { checkPush } from '../../src/push/check.js';
import { parseConfig } from '../../src/settings/config.js';
import {
  APPLE,
  apnsSettings,
  certificate,
  fcmSettings,
  GOOGLE,
  TLS,
  VAPID_SUBJECT,
  WEBHOOK_SECRET,
  webhookSettings,
} from '../support/push/accounts.js';
import { startApns } from '../support/push/apns-peer.js';
import { startFcm } from '../support/push/fcm-peer.js';
import { startWebPush } from '../support/push/web-push-peer.js';
import { startWebhook } from '../support/push/webhook-peer.js';

async function world(now: number) {
  const clock = new FakeClock(now);
  const apns = await startApns(TLS, APPLE, clock);
  const fcm = await startFcm(GOOGLE, clock);
  const webhook = await startWebhook(WEBHOOK_SECRET, clock);
  onTestFinished(async () => {
    await apns.close();
    fcm.close();
    webhook.close();
  });
  const env = { ...apnsSettings(apns), ...fcmSettings(fcm), ...webhookSettings(webhook) };
  const check = async () => {
    let text = '';
    const write = (part: string) => {
      text += part;
    };
    const ok = await checkPush(parseConfig(env), { clock, write, ca: certificate.ca });
    return { ok, lines: text.trimEnd().split('\n') };
  };
  return { apns, fcm, webhook, check };
}

test('services that accept the credentials pass, whether or not they call the token dead', async () => {
  const { apns, fcm, check } = await world(Date.now());
  apns.script.answer({ status: 400, body: { reason: 'BadDeviceToken' } });
  expect(await check()).toEqual({
    ok: true,
    lines: [
      `✓ APNs at ${new URL(apns.origin).host}: the key is accepted`,
      '✓ FCM for example-1: the service account is accepted',
      '✓ PUSH_WEBHOOK_URL: a signed notification is accepted',
    ],
  });
  expect(fcm.faults).toEqual([]);
});

test('each fault gets advice, and a wrong clock is found by the Date of the answers', async () => {
  const { apns, fcm, webhook, check } = await world(Date.now() + 3600_000);
  apns.script.answer({ status: 403, body: { reason: 'InvalidProviderToken' } });
  fcm.script.answer({ status: 503 });
  webhook.close();
  const { ok, lines } = await check();
  expect(ok).toBe(false);
  expect(lines).toEqual([
    expect.stringMatching(/^✗ APNs at .*: the credentials are refused\. Check APNS_KEY_ID/),
    '✗ FCM for example-1: it answers 429 or 5xx. Try again later.',
    '✗ PUSH_WEBHOOK_URL: it cannot be reached (ECONNREFUSED). Check DNS, firewall and URL.',
    // The answers bear the real time, which has moved on.
    expect.stringMatching(/^✗ clock: it differs by -3[3-6]\d\d s /),
  ]);
});

test('a service that does not speak HTTP/2, has another certificate or does not listen is named with the cause', async () => {
  const peer = await startWebPush(TLS, VAPID_SUBJECT, new FakeClock());
  const { apns } = await world(Date.now());
  onTestFinished(peer.close);
  const lineWith = async (origin: string, ca?: string) => {
    let text = '';
    const write = (part: string) => {
      text += part;
    };
    const config = parseConfig(apnsSettings({ origin }));
    const deps = { clock: new FakeClock(), write, ...(ca ? { ca } : {}) };
    expect(await checkPush(config, deps)).toBe(false);
    return text;
  };
  expect(await lineWith(peer.origin, certificate.ca)).toMatch(
    /\(ERR_SSL_\w+_NO_APPLICATION_PROTOCOL\)/,
  );
  expect(await lineWith(apns.origin)).toContain('(DEPTH_ZERO_SELF_SIGNED_CERT)');
  expect(await lineWith('https://127.0.0.1:1')).toContain('(ECONNREFUSED)');
});
