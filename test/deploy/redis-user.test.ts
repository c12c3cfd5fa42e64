// deploy/redis/users.conf: every operation works with the rights of that user, in every mode, and every right is used.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { call, pairDevices, someCode } from '@couplet/testkit/api';
import { runCommand } from '@couplet/testkit/command';
import { describeWith } from '@couplet/testkit/components';
import { Peer } from '@couplet/testkit/peer';
import {
  type RedisServer,
  startRedis,
  startRedisCluster,
  startWatchedRedis,
} from '@couplet/testkit/redis-servers';
import { temporaryFolder } from '@couplet/testkit/server';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { SLOTS, slotOf } from '../../packages/server/src/redis/servers.js';
import { ROOT } from '../support.js';
import { startClusterNode, untilReady } from './cluster.js';
import { exercise } from './exercise.js';

const PASSWORD = 'a-password-of-the-tests';

/** The ACL rules of the user couplet, with this password. */
const rules = /^user couplet (.+)$/m
  .exec(readFileSync(`${ROOT}deploy/redis/users.conf`, 'utf8'))?.[1]
  ?.replace('#PASSWORD', `>${PASSWORD}`)
  .split(' ') as string[];
const allowed = rules.slice(rules.indexOf('nocommands') + 1).map((rule) => rule.replace(/^\+/, ''));

const folder = temporaryFolder();
/** Commands that a server has run, from Couplet and from the test. */
const run = new Set<string>();

const asCouplet = (url: string) => url.replace('redis://', `redis://couplet:${PASSWORD}@`);

interface Special {
  /** Further settings. */
  env?: Record<string, string>;
  /** Operations in addition to {@link exercise}. */
  also?: (node: { url: string }) => Promise<void>;
}

/** Runs every operation with two nodes as the user couplet; fails if any command is refused. */
async function worksOn(
  servers: readonly RedisServer[],
  url: string,
  { env = {}, also = async () => {} }: Special = {},
): Promise<void> {
  for (const server of servers) await server.admin('ACL', 'SETUSER', 'couplet', ...rules);
  const settings = { REDIS_URL: asCouplet(url), ...env };
  const nodes = await Promise.all([1, 2].map(() => startClusterNode(folder, settings)));
  for (const node of nodes) onTestFinished(node.kill);
  await untilReady(nodes);
  const [first, second] = nodes as [(typeof nodes)[0], (typeof nodes)[0]];
  const failed = await exercise([first, second])
    .then(() => also(first))
    .then(() => first.shutDown())
    .then(
      () => undefined,
      (error: unknown) => error,
    );
  for (const server of servers) {
    const refused = (await server.admin('ACL', 'LOG')) as Record<string, unknown>[];
    expect(refused.map(({ reason, object }) => `${reason}: ${object}`)).toEqual([]);
    const stats = String(await server.admin('INFO', 'commandstats'));
    for (const [, name] of stats.matchAll(/^cmdstat_([^:]+):/gm)) run.add(name as string);
  }
  // If a command was refused, report that first.
  if (failed !== undefined) throw failed;
}

/** Copies a database with rows of every kind, and a pending of the old layout. */
async function migrates(server: RedisServer, url: string): Promise<void> {
  const file = { SQLITE_DB_PATH: `${folder}/old.db` };
  const old = await startClusterNode(folder, { USE_SQLITE: '1', ...file });
  onTestFinished(old.kill);
  const { client1 } = await pairDevices(old.url);
  const pending = { joinid: someCode(), client1, expiresInSeconds: 60 };
  const key = { 'idempotency-key': 'copied with the rest' };
  expect((await call(old.url, 'POST', '/api/rooms', pending, key)).status).toBe(201);
  await old.shutDown();
  const env = { REDIS_URL: asCouplet(url), ...file };
  const { code, stdout } = await runCommand(['migrate'], { cwd: folder, env });
  expect(code).toBe(0);
  expect(stdout.match(/: 1 copied, 0 /g)).toHaveLength(3);
  const fields = `'c1', 'a', 'x', '${Date.now() + 60_000}'`;
  const write = `redis.call('SELECT', 1) redis.call('HSET', 'couplet:{p1}000001', ${fields})`;
  await server.admin('EVAL', write, '0');
  const layout = await runCommand(['migrate', '--redis-layout', '--finish'], { cwd: folder, env });
  expect(layout.stdout).toMatch(/pendings: 1 copied/);
}

const slotOfRoom = (roomId: string) =>
  slotOf(`couplet:{m${createHash('sha256').update(roomId).digest('base64url')}}`);

/** The source keeps the slot's keys and the target gets new ones: ASK redirects from one to the other. */
async function beginToMove(servers: readonly RedisServer[], slot: number): Promise<void> {
  const owner = Math.floor(slot / Math.ceil(SLOTS / servers.length));
  const source = servers[owner] as RedisServer;
  const target = servers[(owner + 1) % servers.length] as RedisServer;
  const id = async (server: RedisServer) => String(await server.admin('CLUSTER', 'MYID'));
  const step = (server: RedisServer, how: string, from: string) =>
    server.admin('CLUSTER', 'SETSLOT', String(slot), how, from);
  await step(target, 'IMPORTING', await id(source));
  await step(source, 'MIGRATING', await id(target));
}

describeWith(['redis-server'], 'the user of Couplet in Redis', () => {
  describe('of one server', () => {
    let server: RedisServer;
    beforeAll(async () => {
      server = await startRedis();
    });
    afterAll(() => server.dispose());

    test('may do everything that is needed, and nothing else', async () => {
      const url = `${server.url}/1`;
      await worksOn([server], url, { also: () => migrates(server, url) });
      for (const command of [
        ['CONFIG', 'GET', '*'],
        ['FLUSHALL'],
        ['KEYS', '*'],
        ['GET', 'of somebody else'],
        ['SPUBLISH', 'of somebody else', ''],
      ]) {
        const verdict = await server.admin('ACL', 'DRYRUN', 'couplet', ...command);
        expect(String(verdict), command[0]).toMatch(/no permissions/);
      }
    });
  });

  test('may do so in a Redis Cluster, during a slot migration', async () => {
    const cluster = await startRedisCluster();
    onTestFinished(cluster.dispose);
    await worksOn(cluster.servers, cluster.url, {
      async also({ url }) {
        const roomId = 'a room whose slot is moving';
        await beginToMove(cluster.servers, slotOfRoom(roomId));
        const peer = await Peer.connect(url.replace('http', 'ws'));
        await peer.join(roomId);
        await peer.close();
      },
    });
  });

  test('may do so with Sentinels, and with replicas that acknowledge', async () => {
    const watched = await startWatchedRedis();
    onTestFinished(watched.dispose);
    await worksOn(watched.servers, watched.url, { env: { REDIS_REPLICAS_ACK: '1' } });
  });

  // This test is last, because it uses the commands of all the others.
  test('has no unused right', () => {
    // `ping` is for the healthcheck of docker-compose.cluster.yml. The others are sent to replicas of a Redis Cluster.
    const others = ['ping', 'readonly', 'readwrite'];
    expect(allowed.filter((name) => !run.has(name) && !others.includes(name))).toEqual([]);
  });
});
