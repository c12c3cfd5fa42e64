// Two nodes with a connected Redis that refuses operations: full, without a disk, or a replica. Tests answers, readiness and log.
import { mkdirSync, rmdirSync } from 'node:fs';
import { call, newPending, pairDevices, roomsApi } from '@couplet/testkit/api';
import { readMetric } from '@couplet/testkit/child-server';
import { describeWith } from '@couplet/testkit/components';
import { eventually } from '@couplet/testkit/eventually';
import { Peer } from '@couplet/testkit/peer';
import {
  type RedisCluster,
  type RedisServer,
  startRedis,
  startRedisCluster,
} from '@couplet/testkit/redis-servers';
import { type RunningServer, serverForTest } from '@couplet/testkit/server';
import { Cast, play } from '@couplet/testkit/wire-stories';
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
    const server = await serverForTest(more, { log: log.log });
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

const refuses = async ({ url }: Node, cause: string) =>
  (await readMetric(url, `couplet_redis_refuses{cause="${cause}"}`)) === 1;

describeWith(['redis-server'], 'a Redis that is full', () => {
  let single: RedisServer;
  let cluster: RedisCluster;
  beforeAll(async () => {
    single = await startRedis();
    cluster = await startRedisCluster();
  });
  afterAll(async () => {
    await single?.dispose();
    await cluster?.dispose();
  });

  const limit = (servers: readonly RedisServer[], bytes: string) =>
    Promise.all(servers.map(({ admin }) => admin('CONFIG', 'SET', 'maxmemory', bytes)));
  const fill = async (servers: readonly RedisServer[]) => {
    onTestFinished(async () => {
      await limit(servers, '0');
    });
    await limit(servers, '1');
  };

  test.each([
    ['one server', () => ({ url: single.url, servers: [single] })],
    ['a Redis Cluster', () => cluster],
  ])(
    '%s serves and deletes existing data, and refuses operations that need memory until there is some',
    async (_name, place) => {
      const { url, servers } = place();
      // The number of answered requests with a key: a refused one uses no quota.
      const [one, two] = await startTwo(url, { MAX_KEYED_REQUESTS_PER_HOUR: '6' });
      const cast = new Cast();
      const goesOn = (script: string) => play(script, [one, two], cast);
      await goesOn(
        `a and b pair by talking; c and d pair by kept; e and f pair by purged;
        g and h pair by keyed; i and j pair by deleted; k invites by waiting;
        l invites by watched; m invites by accepted; far: n accepts accepted = 200;
        o invites by answered under first = 201; x joins talking as a; far: y joins talking as b;
        y told room_ready responder; x told room_ready initiator`,
      );

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
      for (let round = 0; round < 3; round++) {
        await goesOn(
          `p invites by new = 503 unavailable; q invites by creation under creation = 503 unavailable;
          far: r accepts waiting = 503 unavailable; far: r accepts unknown = 503 unavailable;
          c sets a token in kept = 503 unavailable; far: z joins fresh = unavailable`,
        );
      }

      // Existing data is served, and so are answers to completed requests.
      await goesOn(
        `far: o invites by answered under first = 201; far: k checks waiting = 204;
        far: k checks waiting under check = 204; m checks accepted = 200;
        far: kept is found = 200 c d; c asks for ICE servers in kept = 200;
        c asks for ICE servers in kept under ice = 200`,
      );
      const watch = { joinid: cast.code('watched'), client1: cast.device('l').id };
      const held = roomsApi(one.url).check(watch, { prefer: 'wait=30' });
      await eventually(async () =>
        expect(await readMetric(one.url, 'couplet_waiting_checks')).toBe(1),
      );
      await goesOn('far: l cancels watched = 200');
      expect((await held).status).toBe(404);

      // Rooms with members continue: messages, a member that comes back on either node, a take-over.
      await goesOn(
        `x says v=0; y told v=0; y hangs up; x told peer_disconnected; far: y2 joins talking as b;
        y2 told room_ready responder; x told room_ready initiator; y3 joins talking as b;
        y3 told room_ready responder; y2 closed 4001 replaced;
        x told peer_disconnected, room_ready initiator; far: y4 joins talking as b;
        y4 told room_ready responder; y3 closed 4001 replaced;
        x told peer_disconnected, room_ready initiator; y4 says v=1; x told v=1;
        y4 joins another = unavailable; x leaves; x told left_room talking; y4 told peer_left;
        y4 leaves; y4 told left_room talking; x joins talking as a = room_joined 1`,
      );

      // Operations that free memory are done, once.
      await goesOn(
        `purge g under purge = deleted 1 0; far: purge g under purge = deleted 1 0;
        far: purge f = deleted 1 0; deleted is deleted = 200; far: keyed is found = 404;
        far: purged is found = 404; far: deleted is found = 404`,
      );

      await limit(servers, '0');
      await goesOn(
        `far: q invites by creation under creation = 201; far: r accepts waiting = 200;
        far: z joins fresh = room_joined`,
      );
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
    const [one] = await startTwo(cluster.url);
    const peer = await Peer.connect(one.wsUrl);
    await fill(cluster.servers.slice(2));
    const outcomes = new Set<string>();
    for (let n = 0; n < 40 && outcomes.size < 2; n++) {
      peer.send({ type: 'join_room', roomId: `room ${n}` });
      outcomes.add((await peer.next()).type);
    }
    expect([...outcomes].sort()).toEqual(['error', 'room_joined']);
    expect((await ready(one)).body).toMatchObject({ status: 'ready', notes: [/full/] });
  });

  test('the limits of guesses still apply, and a node that starts meanwhile serves existing data', async () => {
    const room = await pairDevices((await startTwo(single.url))[0].url);
    await fill([single]);
    const [one, two] = await startTwo(single.url);
    expect((await roomsApi(one.url).purge({ deviceIds: [room.client1] })).status).toBe(200);
    const statuses: number[] = [];
    for (let n = 0; n < 130; n++)
      statuses.push((await roomsApi((n % 2 ? one : two).url).check(newPending())).status);
    expect([...new Set(statuses)]).toEqual([404, 429]);
    expect(statuses.indexOf(429)).toBeGreaterThanOrEqual(120);
  });
});

describeWith(['redis-server'], 'a Redis that takes no writes', () => {
  /** Expects that a node is not ready for this cause, and reports it, until the fault ends. */
  const endure = async (node: Node, cause: string, mend: () => Promise<unknown>) => {
    await eventually(async () => expect(await refuses(node, cause)).toBe(true));
    const answer = await ready(node);
    expect([answer.status, answer.body?.error]).toEqual([503, 'unavailable']);
    expect(answer.body?.details).toContain('redis');
    expect((await roomsApi(node.url).create(newPending())).status).toBe(503);
    await mend();
    await eventually(async () => expect((await ready(node)).status).toBe(200));
    expect((await roomsApi(node.url).create(newPending())).status).toBe(201);
    expect(await refuses(node, cause)).toBe(false);
    const lines = told(node).filter((line) => line.endsWith(cause));
    expect(lines).toEqual([`Redis refuses writes: ${cause}`, `Redis takes writes again: ${cause}`]);
  };

  const setUp = async (settings: readonly string[] = []) => {
    const redis = await startRedis(settings);
    onTestFinished(() => redis.dispose());
    const [one] = await startTwo(redis.url);
    return { redis, one };
  };

  test('counts as unavailable, not as degraded, while it cannot write its disk', async () => {
    const { redis, one } = await setUp(['save 3600 1']);
    const { roomid } = await pairDevices(one.url);
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
      expect((await roomsApi(one.url).room(roomid)).status).toBe(503);
      rmdirSync(`${dir}/dump.rdb`);
      await save('ok');
    });
  });

  test.each([
    // Its master does not exist.
    ['has become a replica', 'read_only', 'REPLICAOF 127.0.0.1 1', 'REPLICAOF NO ONE'],
    [
      'has too few replicas',
      'replicas',
      'CONFIG SET min-replicas-to-write 1',
      'CONFIG SET min-replicas-to-write 0',
    ],
  ])('counts as unavailable while it %s', async (_how, cause, begin, end) => {
    const { redis, one } = await setUp();
    await redis.admin(...begin.split(' '));
    await endure(one, cause, () => redis.admin(...end.split(' ')));
  });

  test('counts as unreachable while it loads its data, and recovers by itself', async () => {
    // It loads a key in 10 ms, and answers `LOADING` meanwhile.
    const { redis, one } = await setUp([
      'key-load-delay 10000',
      'loading-process-events-interval-bytes 1024',
    ]);
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
    expect((await roomsApi(one.url).room(room.roomid)).status).toBe(200);
    expect(told(one)).toEqual(['Redis cannot be reached']);
  });
});
