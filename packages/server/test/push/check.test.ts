// The command `couplet push:check`, against push services on loopback.
import { rootCertificates } from 'node:tls';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { expect, test } from 'vitest';
import { checkPush } from '../../src/push/check.js';
import { parseConfig } from '../../src/settings/config.js';
import { apnsSettings, startApns } from '../support/push/apns-peer.js';
import { startFcm } from '../support/push/fcm-peer.js';
import { certificate } from '../support/push/script.js';
import { startWebPush } from '../support/push/web-push-peer.js';
import { startWebhook } from '../support/push/webhook-peer.js';

async function linesOf(
  env: Record<string, string>,
  clock = new FakeClock(),
  ca = certificate.cert,
) {
  let text = '';
  const write = (part: string) => {
    text += part;
  };
  const ok = await checkPush(parseConfig(env), { clock, write, ca });
  return { ok, lines: text.trimEnd().split('\n') };
}

async function world(now: number) {
  const clock = new FakeClock(now);
  const [apns, fcm] = [await startApns(clock), await startFcm(clock)];
  const webhook = await startWebhook(clock);
  const env = { ...apns.settings, ...fcm.settings, ...webhook.settings };
  return { apns, fcm, webhook, check: () => linesOf(env, clock) };
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
  const peer = await startWebPush(new FakeClock());
  const apns = await startApns(new FakeClock());
  const lineWith = async (origin: string, ca?: string) => {
    const { ok, lines } = await linesOf(apnsSettings(origin), new FakeClock(), ca);
    expect(ok).toBe(false);
    return lines[0];
  };
  expect(await lineWith(peer.origin)).toMatch(/\(ERR_SSL_\w+_NO_APPLICATION_PROTOCOL\)/);
  expect(await lineWith(apns.origin, rootCertificates[0])).toContain(
    '(DEPTH_ZERO_SELF_SIGNED_CERT)',
  );
  expect(await lineWith('https://127.0.0.1:1')).toContain('(ECONNREFUSED)');
});
