// Tests the device secret in the client: kept with the session, sent with every request of the pairing, never in a URL.

import { call } from '@couplet/testkit/api';
import { startServer } from '@couplet/testkit/server';
import { afterAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { Couplet, type CoupletOptions, type SavedSession } from '../src/index.js';
import { pairSessions, RTCPeerConnection } from './support/fake-device.js';

const server = await startServer();
const strict = await startServer({ REQUIRE_DEVICE_SECRETS: '1' });
afterAll(() => Promise.all([server.close(), strict.close()]));

/** A device, and the addresses of its requests. */
function device(more: Partial<CoupletOptions> = {}) {
  const urls: string[] = [];
  const fetchAs: CoupletOptions['fetch'] = (url, init) => {
    urls.push(url);
    return (more.fetch ?? fetch)(url, init);
  };
  class Recorded extends WebSocket {
    constructor(url: string) {
      super(url);
      urls.push(url);
    }
  }
  const options = { url: server.url, ...more, fetch: fetchAs, WebSocket: Recorded };
  return { couplet: new Couplet({ ...options, RTCPeerConnection }), urls };
}

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
    for (const session of await pairSessions(host.couplet, guest.couplet)) {
      const saved = session.save();
      expect(saved).toMatchObject({ version: 1, secret: expect.stringMatching(/^[\w-]{43}$/) });
      expect((await iceServers(url, saved)).status).toBe(200);
      const { secret: _, ...stolen } = saved;
      expect((await iceServers(url, stolen)).status).toBe(403);
      expect(await host.couplet.iceServers(saved)).toEqual([]);
      const resumed = device({ url }).couplet.resume(stolen);
      await expect(resumed).rejects.toMatchObject({ code: 'forbidden' });
      for (const asked of [...host.urls, ...guest.urls]) expect(asked).not.toContain(saved.secret);
    }
  },
);

test('a purge sends the secrets of its own pairings and of the given sessions', async () => {
  const [host, guest] = [device(), device()];
  const [hosted] = await pairSessions(host.couplet, guest.couplet);
  await pairSessions(host.couplet, device().couplet);
  const { deviceId } = host.couplet;
  const later = device({ deviceId }).couplet;
  expect(await later.purge()).toMatchObject({ roomsDeleted: 0, roomsKept: 2 });
  const given = await later.purge({ sessions: [hosted.save()] });
  expect(given).toMatchObject({ roomsDeleted: 1, roomsKept: 1 });
  const own = await host.couplet.purge();
  expect(own).toMatchObject({ roomsDeleted: 1 });
  expect(own).not.toHaveProperty('roomsKept');
});

test('a pairing is forgotten with the secret of either device, and the others of the device stay', async () => {
  const [host, guest] = [device(), device()];
  const [hosted, joined] = await pairSessions(host.couplet, guest.couplet);
  const [other] = await pairSessions(host.couplet, device().couplet);
  const { secret: _, ...stolen } = joined.save();
  await expect(device().couplet.forget(stolen)).rejects.toMatchObject({ code: 'forbidden' });
  await device().couplet.forget(joined.save());
  expect((await iceServers(server.url, hosted.save())).status).toBe(403);
  expect((await iceServers(server.url, other.save())).status).toBe(200);
  // It is gone already.
  await device().couplet.forget(hosted.save());
});

test('a server without secrets works as before', async () => {
  const [host, guest] = [device({ fetch: toOldServer }), device({ fetch: toOldServer })];
  const [hosted, joined] = await pairSessions(host.couplet, guest.couplet);
  expect(hosted.save()).toStrictEqual({
    version: 1,
    roomId: joined.save().roomId,
    deviceId: host.couplet.deviceId,
  });
  const saved = joined.save();
  joined.close();
  const again = await device().couplet.resume(saved);
  again.close();
  expect(await device().couplet.iceServers(saved)).toEqual([]);
  expect(await guest.couplet.purge()).toMatchObject({ roomsDeleted: 1 });
});

test('a device without secrets, of an older version, pairs with one that has them', async () => {
  const [old, now] = [device({ fetch: toOldServer }), device()];
  const [hosted, joined] = await pairSessions(old.couplet, now.couplet);
  expect((await iceServers(server.url, hosted.save())).status).toBe(200);
  // It cannot delete the pairing, which the other device's secret protects.
  expect(await old.couplet.purge()).toMatchObject({ roomsDeleted: 0, roomsKept: 1 });
  const saved = joined.save();
  expect(await now.couplet.purge({ deviceIds: [saved.deviceId] })).toMatchObject({
    roomsDeleted: 1,
  });
});
