// SECURITY.md, "Who can do what": every row is carried out, each "can" and each "cannot".

import { readFileSync } from 'node:fs';
import { call, someCode, someDevice } from '@couplet/testkit/api';
import { describeWith } from '@couplet/testkit/components';
import { eventually } from '@couplet/testkit/eventually';
import { Peer } from '@couplet/testkit/peer';
import { type RedisServer, startRedis } from '@couplet/testkit/redis-servers';
import { serverForTest } from '@couplet/testkit/server';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { turnCredentials } from '../../src/turn/credentials.js';
import { newPrefix, openRedis } from '../support/redis-stores.js';

const ADMIN_TOKEN = 'correct horse battery staple';
const TURN_SECRET = 'a-secret-for-the-wire-tests';
/** Sends notifications to a program that does not exist. */
const PUSH = {
  PUSH_WEBHOOK_URL: 'http://127.0.0.1:1/',
  PUSH_WEBHOOK_SECRET: `whsec_${Buffer.alloc(32).toString('base64')}`,
  // Longer than a test.
  PUSH_GRACE_SECONDS: '60',
};
const TURN = { TURN_SECRET, TURN_URLS: 'turn:turn.example.org:3478' };

/** A server, and the URL for its strangers: in a cluster, another node. */
interface World {
  url: string;
  wsUrl: string;
  strangers: { url: string; wsUrl: string };
  /** The Redis that stores the pairings, if there is one. */
  redis?: { url: string; prefix: string };
}

type OpenWorld = (env?: Record<string, string>) => Promise<World>;

interface Device {
  id: string;
  secret: string;
}

interface Pairing {
  joinid: string;
  roomid: string;
  first: Device;
  second: Device;
}

/** The devices that have sent their secrets. */
type Proved = 'nobody' | 'first' | 'both';

const post = (url: string, path: string, body: object) => call(url, 'POST', path, body);
const check = (url: string, joinid: string, client1: string, secret?: string) =>
  post(url, '/api/rooms/check', { joinid, client1, secret });
const renew = (url: string, joinid: string, client1: string, secret?: string) =>
  post(url, '/api/rooms', { joinid, client1, secret, expiresInSeconds: 300 });
const iceServers = (url: string, roomid: string, client: string, secret?: string) =>
  post(url, '/api/ice-servers', { roomid, client, secret });
const setToken = (url: string, roomid: string, client: string, secret?: string) =>
  post(url, '/api/push-token', { roomid, client, secret, token: 'apns' });
const purge = (url: string, deviceIds: string[], secrets?: string[]) =>
  post(url, '/api/user/purge', { deviceIds, secrets });
const deleteRoom = (url: string, roomid: string, secret?: string) =>
  call(url, 'DELETE', '/api/rooms', { roomid, secret });
const find = (url: string, roomid: string) => call(url, 'GET', `/api/rooms?roomid=${roomid}`);

async function invite(url: string) {
  const [joinid, id] = [someCode(), someDevice()];
  const { status, body } = await renew(url, joinid, id);
  expect(status).toBe(201);
  return { joinid, first: { id, secret: String(body?.secret) } };
}

async function accept(url: string, joinid: string) {
  const id = someDevice();
  const { status, body } = await post(url, '/api/rooms/accept', { joinid, client2: id });
  return { status, roomid: String(body?.roomid), second: { id, secret: String(body?.secret) } };
}

async function pairUp({ url }: World, proved: Proved): Promise<Pairing> {
  const { joinid, first } = await invite(url);
  const { roomid, second } = await accept(url, joinid);
  const collected = await check(
    url,
    joinid,
    first.id,
    proved === 'nobody' ? undefined : first.secret,
  );
  expect(collected.body).toEqual({ roomid });
  if (proved === 'both') {
    expect((await iceServers(url, roomid, second.id, second.secret)).status).toBe(200);
  }
  return { joinid, roomid, first, second };
}

/** Connects and joins; resolves to the first answer. */
async function enter(wsUrl: string, roomId: string, device: Partial<Device> = {}) {
  const peer = await Peer.connect(wsUrl);
  peer.send({ type: 'join_room', roomId, deviceId: device.id, secret: device.secret });
  const { type, code } = await peer.next();
  return { peer, got: type === 'error' ? code : type };
}

/** Both devices with their secrets, connected to each other. */
async function meet({ wsUrl }: World, { roomid, first, second }: Pairing) {
  const one = await enter(wsUrl, roomid, first);
  const other = await enter(wsUrl, roomid, second);
  await other.peer.next('room_ready');
  await one.peer.next('room_ready');
  return [one.peer, other.peer] as const;
}

const FORBIDDEN = { status: 403, body: { error: 'forbidden' } };
const MISSING = { status: 404, body: { error: 'not_found_or_expired' } };

/** By the first column of the table. */
const ROWS: Record<string, (open: OpenWorld) => Promise<void>> = {
  async 'a live join code'(open) {
    const world = await open();
    const { url } = world.strangers;
    const { joinid, first } = await invite(world.url);
    // Can: accept it in place of the intended device.
    const taken = await accept(url, joinid);
    expect(taken.status).toBe(200);
    // Cannot: collect it, accept it again, learn which device created it.
    expect(await check(url, joinid, taken.second.id, taken.second.secret)).toMatchObject(MISSING);
    expect((await accept(url, joinid)).status).toBe(409);
    const conflict = await renew(url, joinid, someDevice());
    expect(conflict).toMatchObject({ status: 409, body: { error: 'conflict' } });
    expect(JSON.stringify(conflict.body)).not.toContain(first.id);
    expect((await check(world.url, joinid, first.id, first.secret)).status).toBe(200);
  },

  async 'a join code and its creator’s device id'(open) {
    const world = await open();
    const { url } = world.strangers;
    // Can, until the creator has sent its secret: collect the room, renew the code.
    const careless = await invite(world.url);
    const taken = await accept(world.url, careless.joinid);
    expect((await check(url, careless.joinid, careless.first.id)).body).toEqual({
      roomid: taken.roomid,
    });
    const waiting = await invite(world.url);
    expect((await renew(url, waiting.joinid, waiting.first.id)).status).toBe(201);
    // Cannot afterwards.
    const careful = await invite(world.url);
    expect(
      (await check(world.url, careful.joinid, careful.first.id, careful.first.secret)).status,
    ).toBe(204);
    for (const secret of [undefined, 'a guess', taken.second.secret]) {
      expect(await check(url, careful.joinid, careful.first.id, secret)).toMatchObject(MISSING);
      expect((await renew(url, careful.joinid, careful.first.id, secret)).status).toBe(409);
    }
    const accepted = await accept(world.url, careful.joinid);
    expect(await check(url, careful.joinid, careful.first.id)).toMatchObject(MISSING);
    // Cannot accept it as a third device either.
    expect((await accept(url, careful.joinid)).status).toBe(409);
    expect(
      (await check(world.url, careful.joinid, careful.first.id, careful.first.secret)).body,
    ).toEqual({ roomid: accepted.roomid });
  },

  async 'a device id'(open) {
    const world = await open();
    const { url } = world.strangers;
    // Can: delete rows that no secret protects.
    const open1 = await pairUp(world, 'nobody');
    expect((await purge(url, [open1.first.id])).body).toEqual({
      success: true,
      deviceIdCount: 1,
      roomsDeleted: 1,
      pendingsDeleted: 0,
    });
    expect((await find(url, open1.roomid)).status).toBe(404);
    // Cannot: delete rows that a secret of either device protects; nor a code.
    const { roomid, first, second } = await pairUp(world, 'first');
    const waiting = await invite(world.url);
    await check(world.url, waiting.joinid, waiting.first.id, waiting.first.secret);
    for (const secrets of [undefined, ['a guess', open1.first.secret]]) {
      const ids = [first.id, second.id, waiting.first.id];
      expect((await purge(url, ids, secrets)).body).toEqual({
        success: true,
        deviceIdCount: 3,
        roomsDeleted: 0,
        pendingsDeleted: 0,
        roomsKept: 1,
        pendingsKept: 1,
      });
    }
    expect((await find(url, roomid)).status).toBe(200);
    // Cannot read or enter a room either: no request leads from a device id to a room.
    expect((await find(url, first.id)).status).toBe(404);
    // The devices themselves can, with the secret of either.
    const mine = await purge(
      world.url,
      [first.id, waiting.first.id],
      [second.secret, waiting.first.secret],
    );
    expect(mine.body).toEqual({
      success: true,
      deviceIdCount: 2,
      roomsDeleted: 1,
      pendingsDeleted: 1,
    });
  },

  async 'a room id'(open) {
    const world = await open({ ...TURN, ...PUSH });
    const { url, wsUrl } = world.strangers;
    // Can, if no device has sent its secret: read the ids, take over a seat, get TURN credentials, wake the other, delete.
    const bare = await pairUp(world, 'nobody');
    expect((await find(url, bare.roomid)).body).toEqual({
      roomid: bare.roomid,
      client1: bare.first.id,
      client2: bare.second.id,
    });
    const victim = await enter(world.wsUrl, bare.roomid, { id: bare.first.id });
    const taker = await enter(wsUrl, bare.roomid, { id: bare.first.id });
    expect(taker.got).toBe('room_joined');
    expect(await victim.peer.closed).toMatchObject({ code: 4001 });
    expect((await iceServers(url, bare.roomid, bare.first.id)).status).toBe(200);
    expect((await setToken(url, bare.roomid, bare.second.id)).status).toBe(200);
    // The notification is tried, once.
    for (const code of ['push_failed', 'push_too_soon']) {
      taker.peer.send({ type: 'ping_peer' });
      expect(await taker.peer.next('error')).toMatchObject({ code });
    }
    expect((await deleteRoom(url, bare.roomid)).status).toBe(200);

    // If one device has: act as the other, and enter while its seat is free.
    const half = await pairUp(world, 'first');
    const { id: other } = half.second;
    const first = await enter(world.wsUrl, half.roomid, half.first);
    const nobody = await enter(wsUrl, half.roomid);
    expect(nobody.got).toBe('room_joined');
    await nobody.peer.close();
    await eventually(async () => {
      const { got } = await enter(wsUrl, half.roomid, { id: other });
      expect(got).toBe('room_joined');
    });
    expect((await enter(wsUrl, half.roomid, { id: other })).got).toBe('room_joined');
    expect((await iceServers(url, half.roomid, other)).status).toBe(200);
    // Cannot: act as the device that has, or delete the room.
    for (const secret of [undefined, 'a guess', half.second.secret]) {
      const got = { id: half.first.id, ...(secret === undefined ? {} : { secret }) };
      expect((await enter(wsUrl, half.roomid, got)).got).toBe('forbidden');
      expect(await iceServers(url, half.roomid, half.first.id, secret)).toMatchObject(FORBIDDEN);
      expect(await setToken(url, half.roomid, half.first.id, secret)).toMatchObject(FORBIDDEN);
      if (secret !== half.second.secret) {
        expect(await deleteRoom(url, half.roomid, secret)).toMatchObject(FORBIDDEN);
      }
    }
    expect(await iceServers(url, half.roomid, other, 'a guess')).toMatchObject(FORBIDDEN);
    expect((await enter(wsUrl, half.roomid, { id: other, secret: 'a guess' })).got).toBe(
      'forbidden',
    );
    expect(first.peer.socket.readyState).toBe(first.peer.socket.OPEN);
    // Cannot keep that device from its seat either, in any order of arrival.
    await first.peer.close();
    expect((await enter(wsUrl, half.roomid)).got).toBe('room_full');
    expect((await enter(world.wsUrl, half.roomid, half.first)).got).toBe('room_joined');

    // If both have: only read the ids, and the two devices are not affected.
    const full = await pairUp(world, 'both');
    const [one, two] = await meet(world, full);
    for (const id of [undefined, full.first.id, full.second.id, someDevice()]) {
      const device = id === undefined ? {} : { id };
      expect((await enter(wsUrl, full.roomid, device)).got).toBe('forbidden');
    }
    expect(await one.sync()).toEqual([]);
    expect(await two.sync()).toEqual([]);
    await two.close();
    expect(await one.next()).toMatchObject({ type: 'peer_disconnected' });
    expect((await enter(wsUrl, full.roomid)).got).toBe('forbidden');
    expect(await deleteRoom(url, full.roomid)).toMatchObject(FORBIDDEN);
    expect((await find(url, full.roomid)).status).toBe(200);
  },

  async 'a room id, with `REQUIRE_PAIRED_ROOMS`'(open) {
    const world = await open({ REQUIRE_PAIRED_ROOMS: '1' });
    const { wsUrl } = world.strangers;
    const { roomid, first, second } = await pairUp(world, 'first');
    expect((await enter(wsUrl, roomid, { id: second.id })).got).toBe('room_joined');
    expect((await enter(wsUrl, roomid, { id: someDevice() })).got).toBe('forbidden');
    expect((await enter(wsUrl, roomid)).got).toBe('forbidden');
    expect((await enter(wsUrl, roomid, { id: first.id })).got).toBe('forbidden');
  },

  async 'a room id, with `REQUIRE_DEVICE_SECRETS`'(open) {
    const world = await open({ REQUIRE_DEVICE_SECRETS: '1', ...TURN });
    const { url, wsUrl } = world.strangers;
    const { joinid, first } = await invite(world.url);
    const { roomid, second } = await accept(world.url, joinid);
    // Can: read the ids.
    expect((await find(url, roomid)).status).toBe(200);
    // Cannot: act as a device, although no device has sent its secret yet.
    expect(await check(url, joinid, first.id)).toMatchObject(FORBIDDEN);
    for (const secret of [undefined, 'a guess']) {
      const proof = secret === undefined ? {} : { secret };
      for (const device of [{ id: first.id }, { id: second.id }, {}, { id: someDevice() }]) {
        expect((await enter(wsUrl, roomid, { ...device, ...proof })).got).toBe('forbidden');
      }
      expect(await iceServers(url, roomid, first.id, secret)).toMatchObject(FORBIDDEN);
      expect(await deleteRoom(url, roomid, secret)).toMatchObject(FORBIDDEN);
    }
    expect(await purge(url, [first.id])).toMatchObject(FORBIDDEN);
    expect((await purge(url, [first.id], ['a guess'])).body).toMatchObject({
      roomsDeleted: 0,
      pendingsDeleted: 0,
      roomsKept: 1,
      pendingsKept: 1,
    });
    // The devices can, and unpaired rooms work as before.
    expect((await check(world.url, joinid, first.id, first.secret)).status).toBe(200);
    await meet(world, { joinid, roomid, first, second });
    expect((await enter(wsUrl, someDevice())).got).toBe('room_joined');
    expect((await purge(world.url, [second.id], [second.secret])).body).toMatchObject({
      roomsDeleted: 1,
    });
  },

  async 'a room id and the secret of a device'(open) {
    const world = await open(TURN);
    const { url, wsUrl } = world.strangers;
    const pairing = await pairUp(world, 'both');
    const { roomid, first, second } = pairing;
    const [one, two] = await meet(world, pairing);
    // Can: everything that this device can.
    const again = await enter(wsUrl, roomid, second);
    expect(again.got).toBe('room_joined');
    expect(await two.closed).toMatchObject({ code: 4001 });
    expect((await iceServers(url, roomid, second.id, second.secret)).status).toBe(200);
    // Cannot: act as the other.
    expect((await enter(wsUrl, roomid, { ...second, id: first.id })).got).toBe('forbidden');
    expect(await iceServers(url, roomid, first.id, second.secret)).toMatchObject(FORBIDDEN);
    expect(one.socket.readyState).toBe(one.socket.OPEN);
    expect((await deleteRoom(url, roomid, second.secret)).status).toBe(200);
    expect((await find(url, roomid)).status).toBe(404);
  },

  async 'the admin token'(open) {
    const world = await open({ ADMIN_TOKEN, ...TURN });
    const { url } = world.strangers;
    const admin = { authorization: `Bearer ${ADMIN_TOKEN}` };
    const pairing = await pairUp(world, 'both');
    const waiting = await invite(world.url);
    await meet(world, pairing);
    const rooms = await call(url, 'GET', '/rooms', undefined, admin);
    expect(JSON.stringify(rooms.body)).toContain(pairing.roomid);
    const metrics = await fetch(`${url}/metrics`, { headers: admin });
    expect(metrics.status).toBe(200);
    const seen = JSON.stringify(rooms.body) + (await metrics.text());
    for (const hidden of [waiting.joinid, waiting.first.id, pairing.first.id, pairing.second.id]) {
      expect(seen).not.toContain(hidden);
    }
    const { roomid, first } = pairing;
    const gone = await call(url, 'DELETE', '/api/rooms', { roomid }, admin);
    expect(gone).toMatchObject(FORBIDDEN);
    const body = { deviceIds: [first.id] };
    expect((await call(url, 'POST', '/api/user/purge', body, admin)).body).toMatchObject({
      roomsKept: 1,
    });
  },

  async 'the password of Redis, in a cluster'(open) {
    const world = await open();
    if (world.redis === undefined) return;
    const { roomid, first, second } = await pairUp(world, 'both');
    const redis = await openRedis(world.redis.url);
    const values: unknown[] = [];
    const roomKeys: string[] = [];
    for await (const keys of redis.scan(`${world.redis.prefix}{pairing}room:*`)) {
      for (const key of keys) {
        roomKeys.push(key);
        values.push(await redis.command(key, ['HVALS', key]));
      }
    }
    // Can: read and change pairings, but read no secret.
    expect(values.join()).toContain(first.id);
    for (const hidden of [first.secret, second.secret, roomid]) {
      expect(values.join()).not.toContain(hidden);
    }
    for (const key of roomKeys) await redis.command(key, ['DEL', key]);
    expect((await find(world.url, roomid)).status).toBe(404);
  },

  async 'the TURN shared secret, or the token of a TURN provider'(open) {
    const world = await open(TURN);
    const { url } = world.strangers;
    // Can: create the same credentials as the server.
    const { roomid, first } = await pairUp(world, 'first');
    const { body } = await iceServers(world.url, roomid, first.id, first.secret);
    const [server] = (body as { iceServers: unknown }).iceServers as [
      Record<'username' | 'credential', string>,
    ];
    const { username, credential } = server;
    const [expiry, user] = username.split(':');
    expect(turnCredentials(TURN_SECRET, user as string, Number(expiry)).credential).toBe(
      credential,
    );
    // Cannot: pair, or act as a device.
    for (const secret of [TURN_SECRET, credential]) {
      expect(await iceServers(url, roomid, first.id, secret)).toMatchObject(FORBIDDEN);
      expect(await deleteRoom(url, roomid, secret)).toMatchObject(FORBIDDEN);
    }
  },

  async nothing(open) {
    const world = await open({ ADMIN_TOKEN });
    const { url, wsUrl } = world.strangers;
    const { roomid } = await pairUp(world, 'both');
    // Can: create codes, try one, use its own room.
    expect((await invite(url)).first.secret).toMatch(/^[\w-]{43}$/);
    expect((await accept(url, someCode())).status).toBe(404);
    expect((await enter(wsUrl, someDevice())).got).toBe('room_joined');
    // Cannot: list rooms, or find a room of others.
    expect((await call(url, 'GET', '/rooms')).status).toBe(401);
    const guess = roomid.replace(/./g, '0');
    expect((await find(url, guess)).status).toBe(404);
    expect((await deleteRoom(url, guess)).status).toBe(200);
    expect((await find(world.url, roomid)).status).toBe(200);
    const strict = await open({ REQUIRE_PAIRED_ROOMS: '1' });
    expect((await enter(strict.strangers.wsUrl, someDevice())).got).toBe('forbidden');
  },
};

test('these are the rows of the table in SECURITY.md', () => {
  const paper = readFileSync(new URL('../../../../SECURITY.md', import.meta.url), 'utf8');
  const table = paper.slice(paper.indexOf('## Who can do what')).split('\n\n')[2] as string;
  const [, , ...rows] = table.split('\n').map((row) => row.split('|')[1]?.trim());
  expect(rows.map((row) => row?.replace("'", '’'))).toEqual(Object.keys(ROWS));
});

describe('on SQLite', () => {
  const open: OpenWorld = async (env = {}) => {
    const server = await serverForTest(env);
    return { ...server, strangers: server };
  };
  test.each(Object.entries(ROWS))('who knows %s', (_row, perform) => perform(open));
});

describeWith(['redis-server'], 'on two nodes over Redis', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis?.dispose());

  const open: OpenWorld = async (env = {}) => {
    const prefix = newPrefix();
    const shared = { REDIS_URL: redis.url, REDIS_PREFIX: prefix, ...env };
    const [node, other] = [await serverForTest(shared), await serverForTest(shared)];
    for (const { url } of [node, other]) {
      await eventually(async () => expect((await fetch(`${url}/readyz`)).status).toBe(200));
    }
    return { ...node, strangers: other, redis: { url: redis.url, prefix } };
  };
  test.each(Object.entries(ROWS))('who knows %s', (_row, perform) => perform(open));
});
