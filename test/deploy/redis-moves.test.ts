// Runs the commands of docs/cluster.md for a backup and for a move to another Redis: pairings are there afterwards.
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { promisify } from 'node:util';
import { call, createPending, pairDevices, someDevice } from '@couplet/testkit/api';
import { describeWith } from '@couplet/testkit/components';
import { eventually } from '@couplet/testkit/eventually';
import { startRedis, startRedisCluster } from '@couplet/testkit/redis-servers';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { startClusterNode, untilReady } from './cluster.js';

const folder = temporaryFolder();

const redisCli = (...args: string[]) => promisify(execFile)('redis-cli', args);

async function startNode(redisUrl: string) {
  const node = await startClusterNode(folder, { REDIS_URL: redisUrl });
  onTestFinished(node.kill);
  await untilReady([node]);
  return node;
}

/** A room and a waiting code, created by a node that has since ended. */
async function paired(redisUrl: string) {
  const node = await startNode(redisUrl);
  const room = await pairDevices(node.url);
  const { joinid } = await createPending(node.url);
  await node.shutDown();
  return { room, joinid };
}

/** Another node has both, and accepts the code. */
async function isThere(redisUrl: string, { room, joinid }: Awaited<ReturnType<typeof paired>>) {
  const node = await startNode(redisUrl);
  const found = await call(node.url, 'GET', `/api/rooms?roomid=${room.roomid}`);
  expect(found.body).toMatchObject(room);
  const accept = { joinid, client2: someDevice() };
  expect((await call(node.url, 'POST', '/api/rooms/accept', accept)).status).toBe(200);
  await node.shutDown();
}

describeWith(['redis-server'], 'a Redis', () => {
  test('with a backup is restored with its pairings', async () => {
    const old = await startRedis();
    onTestFinished(old.dispose);
    const what = await paired(old.url);
    const dir = `${folder}/restored`;
    mkdirSync(dir);
    await old.admin('ACL', 'SETUSER', 'backup', 'on', '>word', '+sync', '+psync', '+replconf');
    const who = ['-p', String(old.port), '--user', 'backup', '--pass', 'word'];
    await redisCli(...who, '--rdb', `${dir}/dump.rdb`);
    await old.stop();

    const filling = await startRedis([`dir ${dir}`, 'dbfilename dump.rdb']);
    onTestFinished(filling.dispose);
    const port = ['-p', String(filling.port)];
    await redisCli(...port, 'CONFIG', 'SET', 'appendonly', 'yes');
    await eventually(async () => {
      const { stdout } = await redisCli(...port, 'INFO', 'persistence');
      expect(stdout).toContain('aof_rewrite_in_progress:0');
      expect(stdout).toContain('aof_last_bgrewrite_status:ok');
    });
    await redisCli(...port, 'SHUTDOWN', 'NOSAVE');
    const restored = await startRedis([`dir ${dir}`, 'appendonly yes', 'appendfsync always']);
    onTestFinished(restored.dispose);
    await isThere(restored.url, what);
  });

  test('is copied into a Redis Cluster', async () => {
    const old = await startRedis();
    onTestFinished(old.dispose);
    const what = await paired(old.url);
    const cluster = await startRedisCluster();
    onTestFinished(cluster.dispose);
    const to = `127.0.0.1:${cluster.servers[0]?.port}`;
    const from = ['--cluster-from', `127.0.0.1:${old.port}`, '--cluster-copy'];
    await redisCli('--cluster', 'import', to, ...from);
    await isThere(cluster.url, what);
  });
});
