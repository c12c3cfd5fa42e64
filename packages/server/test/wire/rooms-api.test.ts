// The rooms API, GET / and GET /rooms, beyond the fields of requests (fields.test.ts): docs/protocol.md §3.
import { randomBytes, randomUUID } from 'node:crypto';
import {
  call,
  createPending,
  newPending,
  pairDevices,
  roomsApi,
  someDevice,
} from '@couplet/testkit/api';
import { Peer, pairOfPeers } from '@couplet/testkit/peer';
import { serverForTest, serverUnderTest } from '@couplet/testkit/server';
import { rowsOf, stepsOf } from '@couplet/testkit/stories';
import { play } from '@couplet/testkit/wire-stories';
import { describe, expect, test } from 'vitest';
import { ILLEGAL_IDS, MISSING } from '../support/ids.js';
import { rawRequest, request } from '../support/raw-http.js';

const site = await serverUnderTest();
const { url, wsUrl } = site;
const api = roomsApi(url);
const get = (query: string) => call(url, 'GET', `/api/rooms${query}`);
const exists = async (roomid: string) => (await api.room(roomid)).status === 200;

test.each(
  rowsOf(`
    a code that another device has created is a conflict, and stays with that device: a invites by r;
        b invites by r = 409 conflict; a checks r = 204
    an unknown code cannot be accepted: b accepts r = 404 not_found_or_expired
    an accepted code is a conflict for every device, and keeps its first client2: a invites by r;
        b accepts r = 200; b accepts r = 409 conflict; c accepts r = 409 conflict;
        r is found = 200 a b
    a device cannot accept its own code, which stays waiting: a invites by r;
        a accepts r = 400 invalid_client2; b accepts r = 200
    an unknown code cannot be checked: a checks r = 404 not_found_or_expired
    a check of an accepted code returns the room id once, and the code is then gone: a invites by r;
        b accepts r; a checks r = 200; a checks r = 404 not_found_or_expired; r is found = 200 a b
    another device’s code is 404, waiting or accepted, and is not consumed: a invites by r;
        c checks r = 404; b accepts r = 200; b checks r = 404; a checks r = 200
    a cancelled code cannot be accepted, and a second cancel succeeds: a invites by r;
        a cancels r = 200; a cancels r = 200; b accepts r = 404 not_found_or_expired;
        a checks r = 404
    a cancel of an unknown code, and of the code of another device, gets the same answer:
        a invites by r; a cancels s = 200; c cancels r = 200; a checks r = 204; b accepts r = 200
    a room is deleted, and a repeat succeeds: a and b pair by r; c and d pair by s;
        r is deleted = 200; r is found = 404; r is deleted = 200; s is found = 200 c d
    a room that never existed is deleted too: r is deleted = 200
    a repeated id counts twice as an id, and its rows once; a second purge deletes nothing:
        a and b pair by r; purge a, a = deleted 1 0; purge a = deleted 0 0
  `),
)('%s', async (_title, script) => void (await play(script, [site])));

test('create answers with ok, a secret and the exact expiry; accept with 48 lowercase hex characters', async () => {
  const before = Date.now();
  const pending = newPending({ expiresInSeconds: 300 });
  const answer = await api.create(pending);
  const after = Date.now();
  const secret = expect.stringMatching(/^[\w-]{43}$/);
  const exp = String(answer.body?.exp);
  expect(answer.body).toStrictEqual({ ok: true, exp, secret });
  expect(exp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect(Date.parse(exp)).toBeGreaterThanOrEqual(before + 300_000);
  expect(Date.parse(exp)).toBeLessThanOrEqual(after + 300_000);
  const { body } = await api.accept({ joinid: pending.joinid, client2: someDevice() });
  expect(body).toStrictEqual({ roomid: expect.stringMatching(/^[0-9a-f]{48}$/), secret });
});

test.each(['000000', '000001', '012345'])('the leading zeros of %s are kept', async (joinid) => {
  const client1 = someDevice();
  expect((await api.create(newPending({ joinid, client1 }))).status).toBe(201);
  expect((await api.check({ joinid, client1 })).status).toBe(204);
  const short = await api.check({ joinid: String(Number(joinid)), client1 });
  expect(short.body?.error).toBe('invalid_joinid');
  await api.purge({ deviceId: client1 });
});

test.each([
  ['1', 201],
  ['86400', 201],
  // Whole JSON numbers in forms that JSON.stringify does not write, and one that is too large for a double.
  ['1e2', 201],
  ['60.0', 201],
  ['1e999', 400],
])('expiresInSeconds %s is answered %i', async (spelling, status) => {
  const body = JSON.stringify(newPending({ expiresInSeconds: 77 }));
  expect((await api.create(body.replace(':77', `:${spelling}`))).status).toBe(status);
});

test('every pairing gets a new room id, even of the same two devices', async () => {
  const [client1, client2] = [someDevice(), someDevice()];
  const ids = new Set<string>();
  // The iOS client builds its id from the first 32 characters alone.
  for (let n = 0; n < 10; n++) {
    ids.add((await pairDevices(url, client1, client2)).roomid.slice(0, 32));
  }
  expect(ids.size).toBe(10);
});

test('every check of a waiting code is 204 without a body', async () => {
  const { joinid, client1 } = await createPending(url);
  for (let n = 0; n < 3; n++) {
    const { status, body, headers } = await api.check({ joinid, client1 });
    expect([status, body]).toEqual([204, undefined]);
    expect([headers.get('content-type'), headers.get('preference-applied')]).toEqual([null, null]);
  }
});

describe('GET and DELETE /api/rooms', () => {
  test.each([
    ['missing_field', ['', '?', '?roomid', '?roomid=', '?roomId=x', '?x=roomid']],
    [
      'invalid_roomid',
      [
        `?roomid=${'a'.repeat(257)}`,
        `?roomid=${encodeURIComponent('€'.repeat(86))}`,
        '?roomid=a&roomid=b',
      ],
    ],
  ])('%s', async (error, queries) => {
    for (const query of queries) {
      for (const method of ['GET', 'DELETE']) {
        const { status, body } = await call(url, method, `/api/rooms${query}`);
        expect([status, body]).toEqual([
          400,
          { error, field: 'roomid', details: expect.any(String) },
        ]);
      }
    }
  });

  test('only the whole id matches, and further query members are ignored', async () => {
    const { roomid } = await pairDevices(url);
    for (const [id, status] of [
      [roomid.slice(0, 32), 404],
      [roomid.toUpperCase(), 404],
      [`${roomid}%00`, 404],
      [`${roomid}%20`, 404],
      [`${roomid.slice(0, 47)}%25`, 404],
      // Not UTF-8.
      ['%ff%fe', 404],
      ['%', 404],
      [`${roomid}&platform=ios&__proto__=x`, 200],
    ] as const) {
      expect((await get(`?roomid=${id}`)).status, id).toBe(status);
    }
    expect((await call(url, 'HEAD', `/api/rooms?roomid=${roomid}`)).status).toBe(200);
    const unknown = randomBytes(24).toString('hex');
    expect((await call(url, 'HEAD', `/api/rooms?roomid=${unknown}`)).status).toBe(404);
  });

  test('the id in the body takes precedence over the query, which is used if the body has none', async () => {
    const query = async () => {
      const { roomid } = await pairDevices(url);
      return { roomid, line: `DELETE /api/rooms?roomid=${roomid}` };
    };
    const kept = await query();
    const { roomid } = await pairDevices(url);
    await rawRequest(url, request(kept.line, {}, JSON.stringify({ roomid })));
    expect([await exists(roomid), await exists(kept.roomid)]).toEqual([false, true]);
    const type = { 'content-type': 'application/json' };
    for (const [headers, body] of [
      ...MISSING.map(([, value]) => [{}, JSON.stringify({ roomid: value })] as const),
      // A stripped body whose content type is left.
      [type, ''],
      [{ ...type, 'content-length': undefined }, ''],
    ] as const) {
      const { roomid, line } = await query();
      const answer = await rawRequest(url, request(line, headers, body));
      expect([answer.status, answer.body]).toEqual([200, '{"ok":true}']);
      expect(await exists(roomid)).toBe(false);
    }
  });
});

describe('POST /api/user/purge', () => {
  const { purge } = api;
  const counts = (deviceIdCount: number, roomsDeleted: number) => ({
    success: true,
    deviceIdCount,
    roomsDeleted,
    pendingsDeleted: 0,
  });
  const invalid = (count: number) => ({
    status: 400,
    body: { error: 'invalid_device_ids', count },
  });

  test('the single deviceId of older clients is used if there is no array', async () => {
    for (const [, deviceIds] of MISSING) {
      const { client1 } = await pairDevices(url);
      expect((await purge({ deviceIds, deviceId: client1 })).body).toStrictEqual(counts(1, 1));
    }
    const [named, single] = [await pairDevices(url), await pairDevices(url)];
    const both = { deviceIds: [named.client1], deviceId: single.client1 };
    expect((await purge(both)).body).toStrictEqual(counts(1, 1));
    expect(await exists(single.roomid)).toBe(true);
    const empty = await purge({ deviceIds: [], deviceId: single.client1 });
    expect([empty.status, empty.body]).toEqual([400, { error: 'empty_deviceIds_array' }]);
  });

  test.each([
    undefined,
    'null',
    {},
    { deviceIds: null, deviceId: null },
    { deviceIds: '', deviceId: '' },
    { ids: ['x'], device: 'x' },
  ])('%j is 400 missing_deviceIds_or_deviceId', async (body) => {
    const answer = await purge(body);
    expect([answer.status, answer.body]).toEqual([400, { error: 'missing_deviceIds_or_deviceId' }]);
  });

  test('invalid ids are counted, and nothing is deleted', async () => {
    const { roomid, client1 } = await pairDevices(url);
    const illegal = ILLEGAL_IDS.map(([, id]) => id);
    const answer = await purge({ deviceIds: [...illegal, client1, '', null] });
    expect(answer).toMatchObject(invalid(illegal.length + 2));
    expect(await exists(roomid)).toBe(true);
    for (const deviceId of illegal) expect(await purge({ deviceId })).toMatchObject(invalid(1));
    for (const deviceIds of ['device', 5, { 0: 'device', length: 1 }, true]) {
      expect(await purge({ deviceIds, deviceId: 'device' })).toMatchObject(invalid(1));
    }
    const deviceIds = Array.from({ length: 1001 }, someDevice);
    expect(await purge({ deviceIds })).toMatchObject(invalid(1001));
  });

  test('1000 ids of the maximum length, escaped and indented, fit; larger bodies are 413, and not parsed', async () => {
    for (const id of ['\\u00e9'.repeat(128), '\\"'.repeat(256)]) {
      const ids = Array(1000).fill(`"${id}"`).join(',\n    ');
      const answer = await purge(`{"deviceIds": [\n    ${ids}\n]}`);
      expect(answer.body).toMatchObject({ success: true, deviceIdCount: 1000 });
    }
    const large = await purge({ deviceIds: Array(1000).fill('x'.repeat(900)) });
    expect([large.status, large.body]).toEqual([413, { error: 'payload_too_large' }]);
  });

  test('of two concurrent purges, only one counts each row', async () => {
    const deviceId = someDevice();
    for (let n = 0; n < 5; n++) await pairDevices(url, deviceId);
    const answers = await Promise.all(Array.from({ length: 4 }, () => purge({ deviceId })));
    expect(answers.reduce((sum, { body }) => sum + Number(body?.roomsDeleted), 0)).toBe(5);
  });
});

test('GET / is a short page: text for a probe, HTML for a browser', async () => {
  const probe = await fetch(`${url}/?probe=1`);
  expect(probe.headers.get('content-type')).toMatch(/^text\/plain/);
  expect((await probe.text()).length).toBeLessThan(200);
  const page = await fetch(url, { headers: { accept: 'text/html,*/*;q=0.8' } });
  expect(page.headers.get('content-type')).toMatch(/^text\/html/);
  const html = await page.text();
  expect(html).toMatch(/^<!doctype html>/);
  expect(html.length).toBeLessThan(4000);
});

test('GET /rooms lists the rooms with members, whether full or not', async () => {
  const [full, half, left] = [randomUUID(), randomUUID(), randomUUID()];
  await pairOfPeers(wsUrl, full);
  await (await Peer.connect(wsUrl)).join(half);
  const peer = await Peer.connect(wsUrl);
  await peer.join(left);
  peer.send({ type: 'leave_room' });
  await peer.next('left_room');
  const { body } = await call(url, 'GET', '/rooms');
  const rooms = body?.rooms as { roomId: string }[];
  expect(rooms).toContainEqual({ roomId: full, userCount: 2, full: true });
  expect(rooms).toContainEqual({ roomId: half, userCount: 1, full: false });
  expect(rooms.map(({ roomId }) => roomId)).not.toContain(left);
  expect(body).toStrictEqual({ rooms, totalRooms: rooms.length });
});

test('without USE_SQLITE, the rooms API is 404 rooms_api_disabled, for any request', async () => {
  const { url } = await serverForTest({ USE_SQLITE: '' });
  const json = { 'content-type': 'application/json' };
  const lines = `POST /api/rooms; GET /api/rooms; GET /api/rooms?roomid=x; DELETE /api/rooms;
    PUT /api/rooms; POST /api/rooms/accept; POST /api/rooms/check; POST /api/rooms/cancel;
    GET /api/rooms/check; GET /api/rooms/anything/else; POST /api/user/purge;
    POST /api/ice-servers; GET /api/ice-servers; POST /api/push-token; POST /api/badge/reset`;
  for (const line of stepsOf(lines)) {
    for (const bytes of [
      request(line),
      request(line, {}, '{}'),
      request(line, {}, '{broken'),
      request(line, { 'content-type': 'text/plain' }, 'x'),
      request(line, { ...json, 'content-length': 99_999_999 }),
    ]) {
      const { status, body } = await rawRequest(url, bytes);
      expect([status, body], bytes).toEqual([404, '{"error":"rooms_api_disabled"}']);
    }
  }
  expect((await fetch(url)).status).toBe(200);
  expect((await call(url, 'GET', '/rooms')).body).toStrictEqual({ rooms: [], totalRooms: 0 });
  expect((await call(url, 'GET', '/nowhere')).body).toStrictEqual({ error: 'not_found' });
  expect((await fetch(`${url}/api/rooms`, { method: 'OPTIONS' })).status).toBe(204);
});
