// Tests the device secret in the client: kept with the session, sent with every request of the pairing, never in a URL.

import { call } from '@couplet/testkit/api';
import { startServer } from '@couplet/testkit/server';
import { afterAll, expect, test } from 'vitest';
import type { CoupletOptions, SavedSession } from '../src/index.js';
import { devicesOf, keptSockets, pairSessions } from './support/fake-device.js';

const server = await startServer();
const strict = await startServer({ REQUIRE_DEVICE_SECRETS: '1' });
afterAll(() => Promise.all([server.close(), strict.close()]));

/** The addresses of all requests, and all connections. */
const urls: string[] = [];
const { sockets, Kept } = keptSockets();
const recorded: CoupletOptions['fetch'] = (url, init) => {
  urls.push(url);
  return fetch(url, init);
};
const device = (more: Partial<CoupletOptions> = {}) =>
  devicesOf(server)({ fetch: recorded, WebSocket: Kept, ...more });

/** A device that gets answers without secrets, as from an older server. */
const toOldServer: CoupletOptions['fetch'] = async (url, init) => {
  const response = await fetch(url, init);
  const text = await response.text();
  if (!text.includes('"secret"')) return new Response(text || null, response);
  const { secret: _, ...body } = JSON.parse(text);
  return new Response(JSON.stringify(body), response);
};

const iceServers = (url: string, { roomId, deviceId, secret }: SavedSession) =>
  call(url, 'POST', '/api/ice-servers', { roomid: roomId, client: deviceId, secret });

test.each([
  ['any server', server],
  ['one that requires secrets', strict],
])(
  'both devices authenticate to %s, and no other device can act as them',
  async (_name, { url }) => {
    const [host, guest] = [device({ url }), device({ url })];
    for (const session of await pairSessions(host, guest)) {
      const saved = session.save();
      expect(saved).toMatchObject({ version: 1, secret: expect.stringMatching(/^[\w-]{43}$/) });
      expect((await iceServers(url, saved)).status).toBe(200);
      const { secret: _, ...stolen } = saved;
      expect((await iceServers(url, stolen)).status).toBe(403);
      expect(await host.iceServers(saved)).toEqual([]);
      const resumed = device({ url }).resume(stolen);
      await expect(resumed).rejects.toMatchObject({ code: 'forbidden' });
      for (const asked of [...urls, ...sockets.map(({ url }) => url)]) {
        expect(asked).not.toContain(saved.secret);
      }
    }
  },
);

test('a purge sends the secrets of its own pairings and of the given sessions', async () => {
  const [host, guest] = [device(), device()];
  const [hosted] = await pairSessions(host, guest);
  await pairSessions(host, device());
  const { deviceId } = host;
  const later = device({ deviceId });
  expect(await later.purge()).toMatchObject({ roomsDeleted: 0, roomsKept: 2 });
  const given = await later.purge({ sessions: [hosted.save()] });
  expect(given).toMatchObject({ roomsDeleted: 1, roomsKept: 1 });
  const own = await host.purge();
  expect(own).toMatchObject({ roomsDeleted: 1 });
  expect(own).not.toHaveProperty('roomsKept');
});

test('a pairing is forgotten with the secret of either device, and the others of the device stay', async () => {
  const [host, guest] = [device(), device()];
  const [hosted, joined] = await pairSessions(host, guest);
  const [other] = await pairSessions(host, device());
  const { secret: _, ...stolen } = joined.save();
  await expect(device().forget(stolen)).rejects.toMatchObject({ code: 'forbidden' });
  await device().forget(joined.save());
  expect((await iceServers(server.url, hosted.save())).status).toBe(403);
  expect((await iceServers(server.url, other.save())).status).toBe(200);
  // It is gone already.
  await device().forget(hosted.save());
});

test('a server without secrets works as before', async () => {
  const [host, guest] = [device({ fetch: toOldServer }), device({ fetch: toOldServer })];
  const [hosted, joined] = await pairSessions(host, guest);
  expect(hosted.save()).toStrictEqual({
    version: 1,
    roomId: joined.save().roomId,
    deviceId: host.deviceId,
  });
  const saved = joined.save();
  joined.close();
  const again = await device().resume(saved);
  again.close();
  expect(await device().iceServers(saved)).toEqual([]);
  expect(await guest.purge()).toMatchObject({ roomsDeleted: 1 });
});

test('a device without secrets, of an older version, pairs with one that has them', async () => {
  const [old, now] = [device({ fetch: toOldServer }), device()];
  const [hosted, joined] = await pairSessions(old, now);
  expect((await iceServers(server.url, hosted.save())).status).toBe(200);
  // It cannot delete the pairing, which the other device's secret protects.
  expect(await old.purge()).toMatchObject({ roomsDeleted: 0, roomsKept: 1 });
  const saved = joined.save();
  expect(await now.purge({ deviceIds: [saved.deviceId] })).toMatchObject({
    roomsDeleted: 1,
  });
});
