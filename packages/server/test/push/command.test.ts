// The built command with push services: every platform is woken, a dead token is deleted, and faulty credentials are refused.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { call, pairDevices } from '@couplet/testkit/api';
import { runCommand, startCommand } from '@couplet/testkit/command';
import { eventually } from '@couplet/testkit/eventually';
import { Peer } from '@couplet/testkit/peer';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/base/clock.js';
import {
  APPLE,
  apnsSettings,
  fcmSettings,
  GOOGLE,
  TLS,
  VAPID_SUBJECT,
  WEBHOOK_SECRET,
  webhookSettings,
  webPushSettings,
} from '../support/push/accounts.js';
import { startApns } from '../support/push/apns-peer.js';
import { startFcm } from '../support/push/fcm-peer.js';
import { startWebPush } from '../support/push/web-push-peer.js';
import { startWebhook } from '../support/push/webhook-peer.js';

// The folder of the accounts' own file is deleted with the first test file of this process that used it.
const trusted = join(temporaryFolder(), 'trusted.pem');
writeFileSync(trusted, TLS.cert);

const BASE = {
  USE_SQLITE: '1',
  SQLITE_DB_PATH: ':memory:',
  PUSH_GRACE_SECONDS: '0',
  LOG_LEVEL: 'debug',
  NODE_EXTRA_CA_CERTS: trusted,
};

/** Starts the command. `enter` lets one device of a new pairing join alone, while the other has a token. */
async function started(settings: Record<string, string>) {
  const command = startCommand(['serve'], {
    cwd: temporaryFolder(),
    env: { ...BASE, ...settings },
  });
  const url = await command.listening;
  const enter = async (platform: string, token: string) => {
    const { roomid, client1: client, client2 } = await pairDevices(url);
    const renewed = { roomid, client, token, platform };
    expect((await call(url, 'POST', '/api/push-token', renewed)).status).toBe(200);
    const peer = await Peer.connect(url.replace('http', 'ws'));
    await peer.join(roomid, client2);
    return { peer, roomId: roomid };
  };
  return { url, enter, output: command.output };
}

test('each platform is woken through its own push service, and the log has no token', async () => {
  const apns = await startApns(TLS, APPLE, systemClock);
  const fcm = await startFcm(GOOGLE, systemClock);
  const webPush = await startWebPush(TLS, VAPID_SUBJECT, systemClock);
  onTestFinished(async () => {
    await apns.close();
    fcm.close();
    webPush.close();
  });
  const { url, enter, output } = await started({
    ...apnsSettings(apns),
    ...fcmSettings(fcm),
    ...webPushSettings(webPush),
  });
  const { body } = await call(url, 'GET', '/api/push');
  expect(body).toEqual({
    platforms: expect.arrayContaining(['ios', 'android', 'web']),
    vapidPublicKey: expect.stringMatching(/^B[\w-]{86}$/),
  });
  expect(output()).toMatch(/"platforms":\[.*"without":\[\].*"push notifications are on"/);
  for (const [platform, token, { script }] of [
    ['ios', 'ab'.repeat(32), apns],
    ['android', 'registration:token', fcm],
    ['web', webPush.subscription(), webPush],
  ] as const) {
    const { peer, roomId } = await enter(platform, token);
    expect(await peer.next('peer_notified')).toEqual({ type: 'peer_notified', roomId });
    expect(script.received).toEqual([expect.objectContaining({ roomId })]);
    expect(output()).not.toContain(token.slice(-20));
  }
});

test('the webhook wakes all platforms, and 410 deletes the token', async () => {
  const webhook = await startWebhook(WEBHOOK_SECRET, systemClock);
  onTestFinished(() => webhook.close());
  const { enter } = await started(webhookSettings(webhook));
  const { peer, roomId } = await enter('android', 'registration:token');
  expect(await peer.next('peer_notified')).toEqual({ type: 'peer_notified', roomId });
  expect(webhook.script.received).toMatchObject([{ platform: 'android', roomId }]);
  webhook.script.answer({ status: 410 });
  const other = await enter('ios', 'ab'.repeat(32));
  await webhook.script.requests(2);
  await eventually(async () => {
    other.peer.send({ type: 'ping_peer' });
    expect(await other.peer.next()).toMatchObject({ code: 'no_push_target' });
  });
});

/** Prints the URL of every module that is loaded. */
const PRINTING = `import { writeSync } from 'node:fs';
export async function load(url, context, next) {
  writeSync(1, 'loaded ' + url + '\\n');
  return next(url, context);
}`;

test.each([
  ['no push service', {}, []],
  ['a webhook', webhookSettings({ url: 'http://127.0.0.1:1' }), ['services', 'webhook']],
])('with %s, the modules of others are not loaded', async (_, settings, modules) => {
  const cwd = temporaryFolder();
  const hook = `data:text/javascript,${encodeURIComponent(PRINTING)}`;
  const file = join(cwd, 'hook.mjs');
  writeFileSync(file, `import { register } from 'node:module'; register(${JSON.stringify(hook)});`);
  const env = { ...BASE, ...settings, NODE_OPTIONS: `--import ${file}` };
  const command = startCommand(['serve'], { cwd, env });
  await command.listening;
  const all = ['services', 'apns', 'fcm', 'web-push', 'webhook'];
  const loaded = all.filter((name) => command.output().includes(`/push/${name}.js\n`));
  expect(loaded).toEqual(modules);
});

test('credentials that cannot be used are refused with one line, by serve and by push:check', async () => {
  const env = { ...BASE, ...apnsSettings({ origin: 'https://localhost' }), APNS_KEY: './none.p8' };
  env.LOG_LEVEL = 'error';
  for (const command of ['serve', 'push:check']) {
    const ended = await runCommand([command], { cwd: temporaryFolder(), env });
    const stderr = 'couplet: APNS_KEY: the file cannot be read (ENOENT)\n';
    expect(ended).toEqual({ code: 1, stdout: '', stderr });
  }
});

test.each([
  ['no platform', {}, '"msg":"push notifications are off, because no push service is configured"'],
  [
    'one platform',
    webPushSettings({ origin: 'https://localhost:1' }),
    '"platforms":["web"],"without":["ios","android"],"msg":"push notifications are on"',
  ],
])('a server with credentials for %s says so when it starts', async (_name, settings, line) => {
  const { output } = await started({ ...settings, LOG_LEVEL: 'info' });
  expect(output()).toContain(line);
});
