// deploy/redis/users.conf: every operation works with the rights of that user, in every mode, also over TLS, and every right is
// used.
import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { call, pairDevices, someCode } from '@couplet/testkit/api';
import { type Certificate, makeCertificate } from '@couplet/testkit/certificate';
import { runCommand, startCommand } from '@couplet/testkit/command';
import { describeWith } from '@couplet/testkit/components';
import { eventually } from '@couplet/testkit/eventually';
import { Peer } from '@couplet/testkit/peer';
import {
  type RedisServer,
  startRedis,
  startRedisCluster,
  startWatchedRedis,
} from '@couplet/testkit/redis-servers';
import { temporaryFolder } from '@couplet/testkit/server';
import { Cast, play, type Site } from '@couplet/testkit/wire-stories';
import { expect, onTestFinished, test } from 'vitest';
import { SLOTS, slotOf } from '../../packages/server/src/redis/servers.js';
import { ROOT } from '../support.js';
import { type ClusterNode, startClusterNode, startShippedRedis, untilReady } from './cluster.js';

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

const asCouplet = (url: string) => url.replace('://', `://couplet:${PASSWORD}@`);

interface Special {
  /** Further settings. */
  env?: Record<string, string>;
  /** The nodes trust it and use TLS. */
  certificate?: Certificate;
  /** Operations in addition to {@link exercise}. */
  also?: (nodes: readonly [ClusterNode, ClusterNode]) => Promise<void>;
}

/** Runs every operation with two nodes as the user couplet; fails if any command is refused. */
async function worksOn(
  servers: readonly RedisServer[],
  url: string,
  { env = {}, certificate, also = async () => {} }: Special = {},
): Promise<void> {
  for (const server of servers) await server.admin('ACL', 'SETUSER', 'couplet', ...rules);
  const trust = certificate && { NODE_EXTRA_CA_CERTS: certificate.cert };
  const settings = { REDIS_URL: asCouplet(url), ...trust, ...env };
  const nodes = await Promise.all([1, 2].map(() => startClusterNode(folder, settings)));
  for (const node of nodes) onTestFinished(node.kill);
  await untilReady(nodes);
  const [first, second] = nodes as [ClusterNode, ClusterNode];
  const failed = await exercise([first, second])
    .then(() => also([first, second]))
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

/** Performs every Redis operation of Couplet with one pair, so that any refused command is found. */
async function exercise(nodes: readonly [ClusterNode, ClusterNode]): Promise<void> {
  const siteOf = ({ url }: { url: string }): Site => ({ url, wsUrl: url.replace('http', 'ws') });
  const sites = [siteOf(nodes[0]), siteOf(nodes[1])] as const;
  const cast = new Cast();
  await play(
    `a invites by r under k = 201; far: a invites by r = 201; far: b invites by r = 409;
    a checks r = 204; far: b accepts unknown = 404`,
    sites,
    cast,
  );
  const check = { joinid: cast.code('r'), client1: cast.device('a').id };
  const wait = { prefer: 'wait=20', 'idempotency-key': randomUUID() };
  const held = call(nodes[0].url, 'POST', '/api/rooms/check', check, wait);
  // Usually enough for the check to be held. Otherwise it finds the accepted code, and no wake is tested.
  await delay(100);
  await play('far: b accepts r under l = 200; b accepts r under l = 200', sites, cast);
  expect(await held).toMatchObject({ status: 200, body: { roomid: cast.room('r') } });
  await play(
    `far: r is found = 200; r is deleted = 200; c and d pair by s; c invites by t;
    far: purge c, d under m = deleted 1 1; s is found = 404;
    e and f pair by u; v joins u as e; far: w joins u as f; w told room_ready responder;
    v told room_ready initiator; v says x; w told x; y joins u = room_full;
    far: z joins u as e = room_joined; z told room_ready initiator; v closed 4001 replaced;
    w told peer_disconnected, room_ready responder; z leaves; w told peer_left; w hangs up`,
    sites,
    cast,
  );
  const asked = { roomid: cast.room('u'), client: cast.device('e').id };
  const keyed = { 'idempotency-key': randomUUID() };
  const answer = await call(nodes[0].url, 'POST', '/api/ice-servers', asked, keyed);
  expect(answer.status).toBeLessThan(500);
  for (const { url } of nodes) {
    expect((await call(url, 'GET', '/rooms')).status).toBe(200);
    expect((await fetch(`${url}/metrics`)).status).toBe(200);
    // On a busy machine, a node may lose its lease for a moment.
    await eventually(async () => expect((await call(url, 'GET', '/readyz')).status).toBe(200));
  }
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

/** Every TLS connection named its server. */
const NAMED = new Set([true]);

describeWith(['redis-server', 'openssl'], 'the user of Couplet in Redis', () => {
  /** It has no IP address, so it fits only the announced name. */
  const certificate = makeCertificate(folder, { address: false });

  test('may do everything that is needed, with replicas that acknowledge, and nothing else', async () => {
    const server = await startRedis();
    onTestFinished(server.dispose);
    const replica = await startRedis([`replicaof 127.0.0.1 ${server.port}`]);
    onTestFinished(replica.dispose);
    const url = `${server.url}/1`;
    const env = { REDIS_REPLICAS_ACK: '1' };
    await worksOn([server], url, { env, also: () => migrates(server, url) });
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

  test('may do so in a Redis Cluster over TLS, whose masters are found by name, during a slot migration', async () => {
    const cluster = await startRedisCluster(3, false, [], certificate);
    onTestFinished(cluster.dispose);
    await worksOn(cluster.servers, cluster.url, {
      certificate,
      async also([{ url }]) {
        const roomId = 'a room whose slot is moving';
        await beginToMove(cluster.servers, slotOfRoom(roomId));
        const peer = await Peer.connect(url.replace('http', 'ws'));
        await peer.join(roomId);
        await peer.close();
      },
    });
    for (const server of cluster.servers) expect(new Set(server.hellos())).toEqual(NAMED);
  });

  test('may do so with Sentinels over TLS, also after a failover', async () => {
    const watched = await startWatchedRedis({ tls: certificate });
    onTestFinished(watched.dispose);
    const [master] = watched.servers;
    await worksOn(watched.servers, watched.url, {
      certificate,
      async also(nodes) {
        const [port = 0] = await watched.masterPorts();
        await master.stop();
        await watched.sentinels[0]?.admin('SENTINEL', 'FAILOVER', 'mymaster');
        await watched.failedOver(port);
        await untilReady(nodes);
        await exercise(nodes);
        await master.start();
      },
    });
    for (const sentinel of watched.sentinels) expect(new Set(sentinel.hellos())).toEqual(NAMED);
    for (const server of watched.servers) expect(server.hellos()).toContain(true);
  });

  // This test uses the commands of all the others.
  test('has no unused right', () => {
    // `ping` is for the healthcheck of docker-compose.cluster.yml. The others are sent to replicas of a Redis Cluster.
    const others = ['ping', 'readonly', 'readwrite'];
    expect(allowed.filter((name) => !run.has(name) && !others.includes(name))).toEqual([]);
  });

  test('a node without the authority of a Redis with TLS is not ready, and its log names the certificate', async () => {
    const { url, stop } = await startShippedRedis(folder, makeCertificate(folder));
    onTestFinished(stop);
    const node = startCommand(['serve'], { cwd: folder, env: { REDIS_URL: url } });
    const address = await node.listening;
    expect((await call(address, 'GET', '/readyz')).status).toBe(503);
    node.child.kill('SIGTERM');
    const { code, stdout } = await node.ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(/self-signed certificate.*Redis cannot be reached/);
    // The value is a secret.
    expect(stdout).not.toContain(new URL(url).password);
  });
});
