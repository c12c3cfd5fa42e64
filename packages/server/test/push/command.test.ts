// The built command with push services: every platform is woken, and faulty credentials are refused.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { call, pairDevices } from '@couplet/testkit/api';
import { runCommand, startCommand } from '@couplet/testkit/command';
import { Peer } from '@couplet/testkit/peer';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.js';
import { apnsSettings, startApns } from '../support/push/apns-peer.js';
import { startFcm } from '../support/push/fcm-peer.js';
import { certificate } from '../support/push/script.js';
import { startWebPush } from '../support/push/web-push-peer.js';

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
