// POST /api/ice-servers, and iceServers in room_ready: docs/protocol.md §3 and §4.
import { randomUUID } from 'node:crypto';
import { pairDevices, roomsApi, someDevice } from '@couplet/testkit/api';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { Peer } from '@couplet/testkit/peer';
import { startServer } from '@couplet/testkit/server';
import { afterAll, describe, expect, test } from 'vitest';

const SECRET = 'a-secret-for-the-wire-tests';
const TURN = {
  TURN_SECRET: SECRET,
  TURN_URLS: 'turn:turn.example.org:3478',
  STUN_URLS: 'stun:turn.example.org:3478',
  TURN_TTL_SECONDS: '600',
};

type Servers = { urls: string[]; username?: string; credential?: string }[];
type Pair = Awaited<ReturnType<typeof pairDevices>>;

/** A server with these settings, closed after the tests of this file. */
async function serverWith(env: Record<string, string>, deps = {}) {
  const { url, wsUrl, close } = await startServer(env, deps);
  afterAll(close);
  return {
    url,
    close,
    pair: () => pairDevices(url),
    ask: (roomid: string, client: string, headers = {}) =>
      roomsApi(url).iceServers({ roomid, client }, headers),
    /** Both join; resolves to the ICE servers in the `room_ready` of each. */
    async meet(roomId: string, ...devices: (string | undefined)[]) {
      const [first, second] = [await Peer.connect(wsUrl), await Peer.connect(wsUrl)];
      await first.join(roomId, devices[0]);
      await second.join(roomId, devices[1]);
      const ready = [await first.next('room_ready'), await second.next('room_ready')];
      return { first, second, servers: ready.map(({ iceServers }) => iceServers as Servers) };
    },
    connect: () => Peer.connect(wsUrl),
  };
}
const server = await serverWith(TURN);
const { pair, ask, meet } = server;

/** The opaque part of the TURN server's username. */
const userOf = (iceServers: unknown) => (iceServers as Servers)[1]?.username?.split(':')[1];

const withTurn = [
  { urls: ['stun:turn.example.org:3478'] },
  {
    urls: ['turn:turn.example.org:3478'],
    username: expect.stringMatching(/^\d+:[\w-]{22}$/),
    credential: expect.stringMatching(/^[A-Za-z0-9+/]{27}=$/),
  },
];

describe('POST /api/ice-servers', () => {
  test('answers each device with credentials of its own, which reveal nothing about it, and their ttl', async () => {
    const { roomid, client1, client2 } = await pair();
    const users: (string | undefined)[] = [];
    for (const client of [client1, client2, client1]) {
      const { status, body, headers } = await ask(roomid, client);
      expect(status).toBe(200);
      expect(body).toEqual({ iceServers: withTurn, ttl: expect.any(Number) });
      expect(headers.get('cache-control')).toBe('no-store');
      const ttl = Number(body?.ttl);
      expect(ttl).toBeGreaterThan(300);
      expect(ttl).toBeLessThanOrEqual(600);
      for (const hidden of [client, roomid]) expect(JSON.stringify(body)).not.toContain(hidden);
      users.push(userOf(body?.iceServers));
    }
    expect(users[0]).toBe(users[2]);
    expect(users[0]).not.toBe(users[1]);
  });

  test('a device that asks again is the same TURN user; beyond MAX_TURN_CREDENTIALS_PER_HOUR, new users get 429', async () => {
    const env = { ...TURN, MAX_TURN_CREDENTIALS_PER_HOUR: '2' };
    const { pair, ask, meet } = await serverWith(env, { clock: new FakeClock() });
    const { roomid, client1, client2 } = await pair();
    const first = await ask(roomid, client1);
    for (let n = 0; n < 5; n++) expect((await ask(roomid, client1)).body).toEqual(first.body);
    expect((await ask(roomid, client2)).status).toBe(200);
    const other = await pair();
    const refused = await ask(other.roomid, other.client1);
    expect([refused.status, refused.body]).toEqual([429, { error: 'rate_limited' }]);
    expect(refused.headers.get('retry-after')).toBe('1800');
    // Servers without credentials are still returned, and devices that are already users keep their credentials.
    const stun = [{ urls: ['stun:turn.example.org:3478'] }];
    const { servers } = await meet(other.roomid, other.client1, other.client2);
    expect(servers).toEqual([stun, stun]);
    for (let n = 0; n < 3; n++) {
      const { servers } = await meet(roomid, client1, client2);
      expect(servers[0]).toEqual(first.body?.iceServers);
    }
  });

  test('a repeat with its key gets the first credentials, even if new ones are due', async () => {
    const clock = new FakeClock();
    const { pair, ask } = await serverWith(TURN, { clock });
    const { roomid, client1, client2 } = await pair();
    const key = { 'idempotency-key': randomUUID() };
    const first = await ask(roomid, client1, key);
    clock.advance(599_000);
    expect((await ask(roomid, client1, key)).body).toEqual(first.body);
    expect((await ask(roomid, client1)).body).not.toEqual(first.body);
    expect((await ask(roomid, client2, key)).status).toBe(422);
  });

  test.each([
    [{ STUN_URLS: 'stun:stun.example.org' }, [{ urls: ['stun:stun.example.org'] }], true],
    [{}, [], false],
  ])('without TURN and with %j it returns %j', async (env, iceServers, isSent) => {
    const { pair, ask, meet } = await serverWith(env);
    const { roomid, client1, client2 } = await pair();
    expect((await ask(roomid, client1)).body).toEqual({ iceServers, ttl: 3600 });
    const { servers } = await meet(roomid, client1, client2);
    expect(servers).toEqual(isSent ? [iceServers, iceServers] : [undefined, undefined]);
  });
});

describe('room_ready carries ICE servers', () => {
  test('with different credentials, which are those of POST /api/ice-servers', async () => {
    const { roomid, client1, client2 } = await pair();
    const { servers } = await meet(roomid, client1, client2);
    expect(servers).toEqual([withTurn, withTurn]);
    expect(userOf(servers[0])).not.toBe(userOf(servers[1]));
    const { body } = await ask(roomid, client2);
    expect(userOf(body?.iceServers)).toBe(userOf(servers[1]));
  });

  test.each<[string, (pair: Pair) => Parameters<typeof meet>, unknown[]]>([
    [
      'only for the member that sent its device id',
      ({ roomid, client2 }) => [roomid, undefined, client2],
      [undefined, withTurn],
    ],
    [
      'but not for a device of another room',
      ({ roomid, client1 }) => [roomid, client1, someDevice()],
      [withTurn, undefined],
    ],
    [
      'but not in an unpaired room',
      ({ client1 }) => [randomUUID(), client1, someDevice()],
      [undefined, undefined],
    ],
  ])('%s', async (_title, members, expected) => {
    expect((await meet(...members(await pair()))).servers).toEqual(expected);
  });

  test('but not in an unpaired room to which a paired device moves', async () => {
    const { roomid, client1 } = await pair();
    const peer = await server.connect();
    await peer.join(roomid, client1);
    const other = randomUUID();
    await (await server.connect()).join(other);
    await peer.join(other, client1);
    expect(await peer.next('room_ready')).not.toHaveProperty('iceServers');
  });

  test('again, for both members, when a device takes over its seat', async () => {
    const { roomid, client1, client2 } = await pair();
    const { second } = await meet(roomid, client1, client2);
    const back = await server.connect();
    await back.join(roomid, client1);
    expect((await back.next('room_ready')).iceServers).toEqual(withTurn);
    await second.next('peer_disconnected');
    expect((await second.next('room_ready')).iceServers).toEqual(withTurn);
  });

  test('for all members with ICE_SERVERS_FOR_ALL', async () => {
    const { meet } = await serverWith({ ...TURN, ICE_SERVERS_FOR_ALL: '1', USE_SQLITE: '0' });
    expect((await meet(randomUUID())).servers).toEqual([withTurn, withTurn]);
  });
});
