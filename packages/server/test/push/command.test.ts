// The commands serve and push:check with push services on loopback: every platform is woken, and faults get advice.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { call, pairDevices } from '@couplet/testkit/api';
import { runCommand, startCommand } from '@couplet/testkit/command';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { Peer } from '@couplet/testkit/peer';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.js';
import { checkPush } from '../../src/push/check.js';
import { parseConfig } from '../../src/settings/config.js';
import { apnsSettings, startApns } from '../support/push/apns-peer.js';
import { startFcm } from '../support/push/fcm-peer.js';
import { certificate } from '../support/push/script.js';
import { startWebPush } from '../support/push/web-push-peer.js';
import { startWebhook } from '../support/push/webhook-peer.js';

// The folder of the peers' own file is deleted with the first test file of this process that used it.
const trusted = join(temporaryFolder(), 'trusted.pem');
writeFileSync(trusted, certificate.cert);

const BASE = {
  USE_SQLITE: '1',
  SQLITE_DB_PATH: ':memory:',
  PUSH_GRACE_SECONDS: '0',
  LOG_LEVEL: 'debug',
  NODE_EXTRA_CA_CERTS: trusted,
};

/** Starts the command. */
async function started(settings: Record<string, string>) {
  const env = { ...BASE, ...settings };
  const command = startCommand(['serve'], { cwd: temporaryFolder(), env });
  return { url: await command.listening, output: command.output };
}

test('each platform is woken through its own push service, and the log has no token', async () => {
  const apns = await startApns(systemClock);
  const fcm = await startFcm(systemClock);
  const webPush = await startWebPush(systemClock);
  const { url, output } = await started({ ...apns.settings, ...fcm.settings, ...webPush.settings });
  const { body } = await call(url, 'GET', '/api/push');
  expect(body).toEqual({
    platforms: expect.arrayContaining(['ios', 'android', 'web']),
    vapidPublicKey: expect.stringMatching(/^B[\w-]{86}$/),
  });
  expect(output()).toMatch(/"platforms":\[.*"without":\[\].*"push notifications are on"/);
  for (const { target, script } of [apns, fcm, webPush]) {
    const { roomid, client1: client, client2 } = await pairDevices(url);
    const renewed = await call(url, 'POST', '/api/push-token', { roomid, client, ...target });
    expect(renewed.status).toBe(200);
    const peer = await Peer.connect(url.replace('http', 'ws'));
    await peer.join(roomid, client2);
    expect(await peer.next('peer_notified')).toEqual({ type: 'peer_notified', roomId: roomid });
    expect(script.received).toEqual([expect.objectContaining({ roomId: roomid })]);
    expect(output()).not.toContain(target.token.slice(-20));
  }
});

test('credentials that cannot be used are refused with one line, by serve and by push:check', async () => {
  const env = { ...BASE, ...apnsSettings('https://localhost'), APNS_KEY: './none.p8' };
  env.LOG_LEVEL = 'error';
  for (const command of ['serve', 'push:check']) {
    const ended = await runCommand([command], { cwd: temporaryFolder(), env });
    const stderr = 'couplet: APNS_KEY: the file cannot be read (ENOENT)\n';
    expect(ended).toEqual({ code: 1, stdout: '', stderr });
  }
});

test('a server without credentials says at its start that push notifications are off', async () => {
  const { output } = await started({});
  expect(output()).toContain('push notifications are off, because no push service is configured');
});

/** Runs push:check. */
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
