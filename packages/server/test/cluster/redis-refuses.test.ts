// Two nodes with a connected Redis that refuses operations: full, without a disk, or a replica. Tests answers, readiness and log.
import { mkdirSync, rmdirSync } from 'node:fs';
import { call, createPending, pairDevices, someCode, someDevice } from '@couplet/testkit/api';
import { describeWith } from '@couplet/testkit/components';
import { eventually } from '@couplet/testkit/eventually';
import { Peer } from '@couplet/testkit/peer';
import { type RedisServer, startRedis, startRedisCluster } from '@couplet/testkit/redis-servers';
import { type RunningServer, startServer } from '@couplet/testkit/server';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type CapturedLog, captureLog } from '../support/captured-log.js';
import { newPrefix } from '../support/redis-stores.js';

interface Node extends RunningServer {
  readonly log: CapturedLog;
}

/** Starts two nodes, ready; closed when the test ends. */
async function startTwo(url: string, env: Record<string, string> = {}): Promise<[Node, Node]> {
  const REDIS_PREFIX = newPrefix();
  const start = async (): Promise<Node> => {
    const log = captureLog();
    // A slow machine causes no timeout, and no lease ends.
    const slow = { REDIS_TIMEOUT_MS: '60000', LEASE_SECONDS: '300' };
    const more = { REDIS_URL: url, REDIS_PREFIX, ...slow, ...env };
    const server = await startServer(more, { log: log.log });
    onTestFinished(() => server.close());
    await eventually(async () => expect((await ready(server)).status).toBe(200));
    return { ...server, log };
  };
  return [await start(), await start()];
}

const ready = ({ url }: RunningServer) => call(url, 'GET', '/readyz');

/** The log lines of a node about refusals of Redis, in order. */
const told = ({ log }: Node) =>
  log
    .lines()
    .filter(({ level, msg }) => level >= 40 || /^Redis takes/.test(msg))
    .map(({ msg, cause }) => (cause === undefined ? msg : `${msg}: ${cause}`));

const refuses = async ({ url }: Node, cause: string) => {
  const text = await (await fetch(`${url}/metrics`)).text();
  return text.includes(`couplet_redis_refuses{cause="${cause}"} 1`);
};

const post = (node: Node, path: string, body: object, key?: string) =>
  call(node.url, 'POST', path, body, key === undefined ? {} : { 'idempotency-key': key });

const newCode = () => ({ joinid: someCode(), client1: someDevice(), expiresInSeconds: 300 });

/** Sends a join that is refused, and takes the answer. */
async function refusedJoin(peer: Peer, roomId: string) {
  peer.send({ type: 'join_room', roomId });
  expect(await peer.next('error')).toMatchObject({ code: 'unavailable' });
}

const single = async () => {
  const redis = await startRedis();
  return { url: redis.url, servers: [redis], dispose: redis.dispose };
};

describeWith(['redis-server'], 'a Redis that is full', () => {
  const places = {
    'one server': single,
    'a Redis Cluster': () => startRedisCluster(),
  };
  const opened = new Map<string, Awaited<ReturnType<typeof single>>>();
  beforeAll(async () => {
    for (const [name, open] of Object.entries(places)) {
      opened.set(name, (await open()) as Awaited<ReturnType<typeof single>>);
    }
  });
  afterAll(async () => {
    for (const place of opened.values()) await place.dispose();
  });
  const at = (name: string) => opened.get(name) as Awaited<ReturnType<typeof single>>;

  const limit = (servers: readonly RedisServer[], bytes: string) =>
    Promise.all(servers.map(({ admin }) => admin('CONFIG', 'SET', 'maxmemory', bytes)));
  const fill = async (servers: readonly RedisServer[]) => {
    onTestFinished(async () => {
      await limit(servers, '0');
    });
    await limit(servers, '1');
  };

  test.each(Object.keys(places))(
    '%s lets go of what it has, serves what is there, and refuses the rest until there is memory',
    async (name) => {
      const { url, servers } = at(name);
      // The number of answered requests with a key: a refused one uses no quota.
      const [one, two] = await startTwo(url, { MAX_KEYED_REQUESTS_PER_HOUR: '6' });
      const [talking, kept, purged, keyed, deleted] = (await Promise.all(
        Array.from({ length: 5 }, () => pairDevices(one.url)),
      )) as [Pair, Pair, Pair, Pair, Pair];
      const waiting = await createPending(one.url);
      const watched = await createPending(one.url);
      const accepted = await createPending(one.url);
      const acceptance = { joinid: accepted.joinid, client2: someDevice() };
      const { roomid } = (await post(two, '/api/rooms/accept', acceptance)).body as Pair;
      const answered = newCode();
      const first = await post(one, '/api/rooms', answered, 'answered');
      const a = await Peer.connect(one.wsUrl);
      await a.join(talking.roomid, talking.client1);
      let b = await Peer.connect(two.wsUrl);
      await b.join(talking.roomid, talking.client2);
      await a.next('room_ready');
      await b.next('room_ready');

      await fill(servers);
      for (const node of [one, two]) {
        const notes = ['Redis is full: operations that need memory are refused'];
        const answer = await eventually(async () => {
          const now = await ready(node);
          expect(now.body).toEqual({ status: 'ready', notes });
          return now;
        });
        expect(answer.status).toBe(200);
        expect(await refuses(node, 'memory')).toBe(true);
      }

      // Operations that need memory are refused, and cost the client nothing.
      const creation = newCode();
      for (let round = 0; round < 3; round++) {
        for (const answer of [
          await post(one, '/api/rooms', newCode()),
          await post(one, '/api/rooms', creation, 'creation'),
          await post(two, '/api/rooms/accept', { joinid: waiting.joinid, client2: 'B' }),
          await post(two, '/api/rooms/accept', { joinid: someCode(), client2: 'B' }),
          await post(one, '/api/push-token', {
            roomid: kept.roomid,
            client: kept.client1,
            token: 'apns',
          }),
        ]) {
          expect([answer.status, answer.body]).toEqual([503, { error: 'unavailable' }]);
          expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
        }
      }
      const newcomer = await Peer.connect(two.wsUrl);
      await refusedJoin(newcomer, `new room ${name}`);

      // Existing data is served, and so are answers to completed requests.
      expect((await post(two, '/api/rooms', answered, 'answered')).body).toEqual(first.body);
      const { joinid, client1 } = waiting;
      const check = { joinid, client1 };
      expect((await post(two, '/api/rooms/check', check)).status).toBe(204);
      expect((await post(two, '/api/rooms/check', check, 'check')).status).toBe(204);
      const collect = { joinid: accepted.joinid, client1: accepted.client1 };
      expect((await post(one, '/api/rooms/check', collect)).body).toEqual({ roomid });
      expect((await call(two.url, 'GET', `/api/rooms?roomid=${kept.roomid}`)).status).toBe(200);
      const device = { roomid: kept.roomid, client: kept.client1 };
      expect((await post(one, '/api/ice-servers', device)).status).toBe(200);
      expect((await post(one, '/api/ice-servers', device, 'ice')).status).toBe(200);
      const watch = { joinid: watched.joinid, client1: watched.client1 };
      const held = call(one.url, 'POST', '/api/rooms/check', watch, { prefer: 'wait=30' });
      await eventually(async () => {
        const text = await (await fetch(`${one.url}/metrics`)).text();
        expect(text).toContain('couplet_waiting_checks 1');
      });
      expect((await post(two, '/api/rooms/cancel', watch)).body).toEqual({ ok: true });
      expect((await held).status).toBe(404);

      // Rooms with members continue: messages, a member that comes back on either node, a take-over.
      a.send({ type: 'webrtc_offer', sdp: 'v=0' });
      expect(await b.next('webrtc_offer')).toMatchObject({ sdp: 'v=0', from: a.clientId });
      await b.close();
      await a.next('peer_disconnected');
      for (const node of [two, one, two]) {
        const before = b;
        const wasThere = before.socket.readyState === before.socket.OPEN;
        b = await Peer.connect(node.wsUrl);
        await b.join(talking.roomid, talking.client2);
        await b.next('room_ready');
        if (wasThere) {
          expect((await before.closed).code).toBe(4001);
          await a.next('peer_disconnected');
        }
        await a.next('room_ready');
      }
      b.send({ type: 'webrtc_answer', sdp: 'v=0' });
      await a.next('webrtc_answer');
      await refusedJoin(b, `other room ${name}`);
      a.send({ type: 'leave_room' });
      await a.next('left_room');
      await b.next('peer_left');
      b.send({ type: 'leave_room' });
      await b.next('left_room');
      expect(await a.join(talking.roomid, talking.client1)).toMatchObject({ userCount: 1 });

      // Operations that free memory are done, once.
      const purge = { deviceIds: [keyed.client1] };
      const counts = { success: true, deviceIdCount: 1, roomsDeleted: 1, pendingsDeleted: 0 };
      expect((await post(one, '/api/user/purge', purge, 'purge')).body).toEqual(counts);
      expect((await post(two, '/api/user/purge', purge, 'purge')).body).toEqual(counts);
      expect((await post(two, '/api/user/purge', { deviceIds: [purged.client2] })).body).toEqual(
        counts,
      );
      const deletion = await call(one.url, 'DELETE', '/api/rooms', { roomid: deleted.roomid });
      expect(deletion.body).toEqual({ ok: true });
      for (const gone of [keyed, purged, deleted]) {
        expect((await call(two.url, 'GET', `/api/rooms?roomid=${gone.roomid}`)).status).toBe(404);
      }

      await limit(servers, '0');
      expect((await post(two, '/api/rooms', creation, 'creation')).status).toBe(201);
      const late = { joinid: waiting.joinid, client2: 'B' };
      expect((await post(two, '/api/rooms/accept', late)).status).toBe(200);
      await newcomer.join(`new room ${name}`);
      for (const node of [one, two]) {
        await eventually(async () => {
          expect((await ready(node)).body).toEqual({ status: 'ready' });
        });
        expect(await refuses(node, 'memory')).toBe(false);
        await eventually(() =>
          expect(told(node)).toEqual([
            'Redis is full: operations that need memory are refused',
            'Redis takes writes again: memory',
          ]),
        );
      }
    },
  );

  test('with one full master of several, rooms in its slots are refused, and others are created', async () => {
    const { url, servers } = at('a Redis Cluster');
    const [one] = await startTwo(url);
    const peer = await Peer.connect(one.wsUrl);
    await fill(servers.slice(2));
    const outcomes = new Set<string>();
    for (let n = 0; n < 40 && outcomes.size < 2; n++) {
      peer.send({ type: 'join_room', roomId: `room ${n}` });
      outcomes.add((await peer.next()).type);
    }
    expect([...outcomes].sort()).toEqual(['error', 'room_joined']);
    expect((await ready(one)).body).toMatchObject({ status: 'ready', notes: [/full/] });
  });

  test('the limits of guesses still apply', async () => {
    const { url, servers } = at('one server');
    const [one, two] = await startTwo(url);
    await fill(servers);
    const statuses: number[] = [];
    for (let n = 0; n < 130; n++) {
      const guess = { joinid: someCode(), client1: someDevice() };
      statuses.push((await post(n % 2 ? one : two, '/api/rooms/check', guess)).status);
    }
    expect([...new Set(statuses)]).toEqual([404, 429]);
    expect(statuses.indexOf(429)).toBeGreaterThanOrEqual(120);
  });

  test('a node that starts meanwhile serves existing data', async () => {
    const { url, servers } = at('one server');
    const room = await pairDevices((await startTwo(url))[0].url);
    await fill(servers);
    const [one] = await startTwo(url);
    const purge = await post(one, '/api/user/purge', { deviceIds: [room.client1] }, 'key');
    expect(purge.status).toBe(200);
    const unknown = { joinid: someCode(), client1: someDevice() };
    expect((await post(one, '/api/rooms/check', unknown)).status).toBe(404);
  });
});

describeWith(['redis-server'], 'a Redis that takes no writes', () => {
  /** Expects that a node is not ready for this cause, and reports it, until the fault ends. */
  const endure = async (node: Node, cause: string, mend: () => Promise<unknown>) => {
    await eventually(async () => expect(await refuses(node, cause)).toBe(true));
    const answer = await ready(node);
    expect([answer.status, answer.body?.error]).toEqual([503, 'unavailable']);
    expect(answer.body?.details).toContain('redis');
    expect((await post(node, '/api/rooms', newCode())).status).toBe(503);
    await mend();
    await eventually(async () => expect((await ready(node)).status).toBe(200));
    expect((await post(node, '/api/rooms', newCode())).status).toBe(201);
    expect(await refuses(node, cause)).toBe(false);
    const lines = told(node).filter((line) => line.endsWith(cause));
    expect(lines).toEqual([`Redis refuses writes: ${cause}`, `Redis takes writes again: ${cause}`]);
  };

  test('because it cannot write its disk is down, not degraded', async () => {
    const redis = await startRedis(['save 3600 1']);
    onTestFinished(() => redis.dispose());
    const [one] = await startTwo(redis.url);
    const room = await pairDevices(one.url);
    const { dir } = (await redis.admin('CONFIG', 'GET', 'dir')) as { dir: string };
    // A folder replaces the file, which then cannot be written.
    mkdirSync(`${dir}/dump.rdb`);
    const save = async (status: string) => {
      await redis.admin('BGSAVE');
      await eventually(async () => {
        const info = String(await redis.admin('INFO', 'persistence'));
        expect(info).toContain('rdb_bgsave_in_progress:0');
        expect(info).toContain(`rdb_last_bgsave_status:${status}`);
      });
    };
    await save('err');
    await endure(one, 'disk', async () => {
      expect((await call(one.url, 'GET', `/api/rooms?roomid=${room.roomid}`)).status).toBe(503);
      rmdirSync(`${dir}/dump.rdb`);
      await save('ok');
    });
  });

  test('because it has become a replica is down until it is a master again', async () => {
    const redis = await startRedis();
    onTestFinished(() => redis.dispose());
    const [one] = await startTwo(redis.url);
    // Of a master that does not exist.
    await redis.admin('REPLICAOF', '127.0.0.1', '1');
    await endure(one, 'read_only', () => redis.admin('REPLICAOF', 'NO', 'ONE'));
  });

  test('because too few replicas are connected is down until they are', async () => {
    const redis = await startRedis();
    onTestFinished(() => redis.dispose());
    const [one] = await startTwo(redis.url);
    const demand = (count: string) => redis.admin('CONFIG', 'SET', 'min-replicas-to-write', count);
    await demand('1');
    await endure(one, 'replicas', () => demand('0'));
  });

  test('because it loads its data is unreachable, and recovers by itself', async () => {
    // It loads a key in 10 ms, and answers `LOADING` meanwhile.
    const redis = await startRedis([
      'key-load-delay 10000',
      'loading-process-events-interval-bytes 1024',
    ]);
    onTestFinished(() => redis.dispose());
    const [one] = await startTwo(redis.url);
    const room = await pairDevices(one.url);
    const fill = "for n = 1, 3000 do redis.call('SET', 'other' .. n, string.rep('x', 50)) end";
    await redis.admin('EVAL', fill, '0');
    await redis.admin('SAVE');
    await redis.stop();
    const started = redis.start();
    await eventually(async () => {
      const { status } = await ready(one);
      expect(String(await redis.admin('INFO', 'persistence'))).toMatch(/^loading:1/m);
      expect(status).toBe(503);
    });
    await redis.admin('CONFIG', 'SET', 'key-load-delay', '0');
    await started;
    await eventually(async () => expect((await ready(one)).status).toBe(200));
    expect((await call(one.url, 'GET', `/api/rooms?roomid=${room.roomid}`)).status).toBe(200);
    expect(told(one)).toEqual(['Redis cannot be reached']);
  });
});

type Pair = Awaited<ReturnType<typeof pairDevices>>;
