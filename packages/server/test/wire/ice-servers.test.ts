// POST /api/ice-servers, and iceServers in room_ready: docs/protocol.md §3 and §4.
import { randomUUID } from 'node:crypto';
import { call, pairDevices, someDevice } from '@couplet/testkit/api';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { Peer } from '@couplet/testkit/peer';
import { startServer } from '@couplet/testkit/server';
import { afterAll, describe, expect, test } from 'vitest';
import { captureLog } from '../support/captured-log.js';

const SECRET = 'a-secret-for-the-wire-tests';
const TURN = {
  TURN_SECRET: SECRET,
  TURN_URLS: 'turn:turn.example.org:3478',
  STUN_URLS: 'stun:turn.example.org:3478',
  TURN_TTL_SECONDS: '600',
};
const PATH = '/api/ice-servers';

async function serverWith(env: Record<string, string>, deps = {}) {
  const server = await startServer(env, deps);
  afterAll(() => server.close());
  return server;
}
const { url, wsUrl } = await serverWith(TURN);
const plain = await serverWith({});

type Servers = { urls: string[]; username?: string; credential?: string }[];

/** The opaque part of the TURN server's username. */
function userOf(iceServers: unknown): string | undefined {
  return (iceServers as Servers | undefined)?.[1]?.username?.split(':')[1];
}

const withTurn = [
  { urls: ['stun:turn.example.org:3478'] },
  {
    urls: ['turn:turn.example.org:3478'],
    username: expect.stringMatching(/^\d+:[\w-]{22}$/),
    credential: expect.stringMatching(/^[A-Za-z0-9+/]{27}=$/),
  },
];

/** Both join; resolves to the `room_ready` of each. */
async function roomReady(base: string, roomId: string, devices: (string | undefined)[]) {
  const [first, second] = [await Peer.connect(base), await Peer.connect(base)];
  await first.join(roomId, devices[0]);
  await second.join(roomId, devices[1]);
  return [await first.next('room_ready'), await second.next('room_ready')] as const;
}

describe('POST /api/ice-servers', () => {
  test('answers either device of a room with ICE servers, new credentials and their ttl', async () => {
    const { roomid, client1, client2 } = await pairDevices(url);
    for (const client of [client1, client2]) {
      const before = Math.floor(Date.now() / 1000);
      const { status, body, headers } = await call(url, 'POST', PATH, { roomid, client });
      expect(status).toBe(200);
      expect(body).toEqual({ iceServers: withTurn, ttl: expect.any(Number) });
      expect(headers.get('cache-control')).toBe('no-store');
      const servers = body?.iceServers as Servers | undefined;
      const expiry = Number(servers?.[1]?.username?.split(':')[0]);
      const ttl = body?.ttl as number;
      expect(expiry).toBeGreaterThanOrEqual(before + ttl);
      expect(expiry).toBeLessThanOrEqual(Date.now() / 1000 + ttl);
      expect(ttl).toBeGreaterThan(300);
      expect(ttl).toBeLessThanOrEqual(600);
    }
  });

  test('gives the two devices different usernames, which reveal nothing about either', async () => {
    const { roomid, client1, client2 } = await pairDevices(url);
    const users: (string | undefined)[] = [];
    for (const client of [client1, client2, client1]) {
      const { body } = await call(url, 'POST', PATH, { roomid, client });
      expect(JSON.stringify(body)).not.toContain(client);
      expect(JSON.stringify(body)).not.toContain(roomid);
      users.push(userOf(body?.iceServers));
    }
    expect(users[0]).toBe(users[2]);
    expect(users[0]).not.toBe(users[1]);
  });

  test('answers 403 forbidden to any other device, whether or not the room exists', async () => {
    const { roomid, client1 } = await pairDevices(url);
    for (const body of [
      { roomid, client: someDevice() },
      { roomid, client: client1.toLowerCase() },
      { roomid: 'f'.repeat(48), client: client1 },
    ]) {
      const answer = await call(url, 'POST', PATH, body);
      expect(answer.status).toBe(403);
      expect(answer.body).toEqual({ error: 'forbidden' });
    }
  });

  test('a device that asks again is the same TURN user; beyond MAX_TURN_CREDENTIALS_PER_HOUR, new users get 429', async () => {
    const env = { ...TURN, MAX_TURN_CREDENTIALS_PER_HOUR: '2' };
    const server = await serverWith(env, { clock: new FakeClock() });
    const { roomid, client1, client2 } = await pairDevices(server.url);
    const ask = (client: string, room = roomid) =>
      call(server.url, 'POST', PATH, { roomid: room, client });
    const first = await ask(client1);
    for (let n = 0; n < 5; n++) expect((await ask(client1)).body).toEqual(first.body);
    expect((await ask(client2)).status).toBe(200);
    const other = await pairDevices(server.url);
    const refused = await ask(other.client1, other.roomid);
    expect([refused.status, refused.body]).toEqual([429, { error: 'rate_limited' }]);
    expect(refused.headers.get('retry-after')).toBe('1800');
    // Servers without credentials are still returned, and devices that are already users keep their credentials.
    const devices = [other.client1, other.client2];
    for (const message of await roomReady(server.wsUrl, other.roomid, devices)) {
      expect(message.iceServers).toEqual([{ urls: ['stun:turn.example.org:3478'] }]);
    }
    for (let n = 0; n < 3; n++) {
      const [message] = await roomReady(server.wsUrl, roomid, [client1, client2]);
      expect(message.iceServers).toEqual(first.body?.iceServers);
    }
  });

  test('answers 403 once the room is deleted', async () => {
    const { roomid, client1 } = await pairDevices(url);
    await call(url, 'DELETE', '/api/rooms', { roomid });
    expect((await call(url, 'POST', PATH, { roomid, client: client1 })).status).toBe(403);
  });

  test.each([
    [{ client: 'x' }, 'missing_field', 'roomid'],
    [{ roomid: 'x', client: '' }, 'missing_field', 'client'],
    [{ roomid: 1, client: 'x' }, 'invalid_roomid', 'roomid'],
    [{ roomid: 'x', client: ['x'] }, 'invalid_client', 'client'],
  ])('answers 400 to %o', async (body, error, field) => {
    const answer = await call(url, 'POST', PATH, body);
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ error, field });
  });

  test('without TURN it returns the STUN servers, and without those an empty list', async () => {
    const stunOnly = await serverWith({ STUN_URLS: 'stun:stun.example.org' });
    for (const [server, iceServers] of [
      [stunOnly, [{ urls: ['stun:stun.example.org'] }]],
      [plain, []],
    ] as const) {
      const { roomid, client1 } = await pairDevices(server.url);
      const { body } = await call(server.url, 'POST', PATH, { roomid, client: client1 });
      expect(body).toEqual({ iceServers, ttl: 3600 });
    }
  });

  test('answers 404 rooms_api_disabled if there is no store', async () => {
    const server = await serverWith({ ...TURN, USE_SQLITE: '0' });
    const answer = await call(server.url, 'POST', PATH, { roomid: 'x', client: 'y' });
    expect(answer.status).toBe(404);
    expect(answer.body).toEqual({ error: 'rooms_api_disabled' });
  });
});

describe('room_ready', () => {
  test('carries ICE servers for both devices of a paired room, with different credentials', async () => {
    const { roomid, client1, client2 } = await pairDevices(url);
    const [first, second] = await roomReady(wsUrl, roomid, [client1, client2]);
    expect(first.iceServers).toEqual(withTurn);
    expect(second.iceServers).toEqual(withTurn);
    expect(first.iceServers).not.toEqual(second.iceServers);
    const { body } = await call(url, 'POST', PATH, { roomid, client: client2 });
    expect(userOf(body?.iceServers)).toBe(userOf(second.iceServers));
  });

  test('carries them only for the member that sent its device id', async () => {
    const { roomid, client2 } = await pairDevices(url);
    const [first, second] = await roomReady(wsUrl, roomid, [undefined, client2]);
    expect(first).not.toHaveProperty('iceServers');
    expect(second.iceServers).toEqual(withTurn);
  });

  test('carries none for a device that is not of the room, or in an unpaired room', async () => {
    const { roomid, client1 } = await pairDevices(url);
    const [, stranger] = await roomReady(wsUrl, roomid, [client1, someDevice()]);
    expect(stranger).not.toHaveProperty('iceServers');
    for (const message of await roomReady(wsUrl, randomUUID(), [client1, someDevice()])) {
      expect(message).not.toHaveProperty('iceServers');
    }
  });

  test('carries none in a second room of a device that is paired in the first room', async () => {
    const { roomid, client1 } = await pairDevices(url);
    const peer = await Peer.connect(wsUrl);
    await peer.join(roomid, client1);
    const other = randomUUID();
    await (await Peer.connect(wsUrl)).join(other);
    await peer.join(other, client1);
    expect(await peer.next('room_ready')).not.toHaveProperty('iceServers');
  });

  test('carries them again, to both, when a device takes over its seat', async () => {
    const { roomid, client1, client2 } = await pairDevices(url);
    const ghost = await Peer.connect(wsUrl);
    await ghost.join(roomid, client1);
    const peer = await Peer.connect(wsUrl);
    await peer.join(roomid, client2);
    await peer.next('room_ready');
    const back = await Peer.connect(wsUrl);
    await back.join(roomid, client1);
    expect((await back.next('room_ready')).iceServers).toEqual(withTurn);
    await peer.next('peer_disconnected');
    expect((await peer.next('room_ready')).iceServers).toEqual(withTurn);
  });

  test('carries them for all members if the configuration says so', async () => {
    const server = await serverWith({ ...TURN, ICE_SERVERS_FOR_ALL: '1', USE_SQLITE: '0' });
    for (const message of await roomReady(server.wsUrl, randomUUID(), [])) {
      expect(message.iceServers).toEqual(withTurn);
    }
  });

  test('has its usual fields if no ICE server is configured', async () => {
    const { roomid, client1, client2 } = await pairDevices(plain.url);
    for (const message of await roomReady(plain.wsUrl, roomid, [client1, client2])) {
      expect(Object.keys(message)).toEqual([
        'type',
        'roomId',
        'message',
        'userCount',
        'isInitiator',
      ]);
    }
  });
});

test('no part of an ICE server is logged, at any level, for any request', async () => {
  const { log, text } = captureLog();
  const extra = [
    { urls: 'turn:extra.example.net', username: 'extra-user', credential: 'extra-pw' },
  ];
  const env = { ...TURN, ICE_SERVERS_EXTRA: JSON.stringify(extra), LOG_LEVEL: 'debug' };
  log.level = 'trace';
  const server = await serverWith(env, { log });
  const { roomid, client1, client2 } = await pairDevices(server.url);
  const handedOut = [
    ...(await roomReady(server.wsUrl, roomid, [client1, client2])).map((m) => m.iceServers),
    (await call(server.url, 'POST', PATH, { roomid, client: client1 })).body?.iceServers,
  ] as Servers[];
  await call(server.url, 'POST', PATH, { roomid, client: 'another' });
  await call(server.url, 'POST', PATH, `{"roomid":"${roomid}","client":`);
  await server.close();

  expect(text()).toContain(PATH);
  const private_ = handedOut
    .flat()
    .flatMap(({ urls, username, credential }) => [
      ...[urls].flat(),
      ...(username ? [username, username.split(':').at(-1) as string] : []),
      ...(credential ? [credential] : []),
    ]);
  expect(private_.length).toBeGreaterThan(20);
  for (const value of [...private_, SECRET, 'turn.example.org', roomid, client1, client2]) {
    expect(text()).not.toContain(value);
  }
});
