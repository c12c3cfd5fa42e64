// Redis over TLS only: nodes with its authority work normally, and others log the reason for their failure.

import { call } from '@couplet/testkit/api';
import { type Certificate, makeCertificate } from '@couplet/testkit/certificate';
import { startCommand } from '@couplet/testkit/command';
import { describeWith } from '@couplet/testkit/components';
import { startRedisCluster, startWatchedRedis } from '@couplet/testkit/redis-servers';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { type ClusterNode, startClusterNode, startShippedRedis, untilReady } from './cluster.js';
import { exercise } from './exercise.js';

const folder = temporaryFolder();

/** Every TLS connection named its server. */
const NAMED = new Set([true]);

describeWith(['redis-server', 'openssl'], 'rediss:// in REDIS_URL', () => {
  async function secureRedis() {
    const certificate = makeCertificate(folder);
    const redis = await startShippedRedis(folder, certificate);
    onTestFinished(redis.stop);
    return { url: redis.url, ca: certificate.cert };
  }

  /** Starts two nodes and runs every operation. The certificate has no IP address: it fits only the announced name. */
  async function exerciseBy(REDIS_URL: string, { cert }: Certificate): Promise<ClusterNode[]> {
    const settings = { REDIS_URL, NODE_EXTRA_CA_CERTS: cert };
    const nodes = [
      await startClusterNode(folder, settings),
      await startClusterNode(folder, settings),
    ];
    for (const node of nodes) onTestFinished(node.kill);
    await untilReady(nodes);
    await exercise(nodes as [ClusterNode, ClusterNode]);
    return nodes;
  }

  test('behind Sentinels, they find the master by name, also after a failover', async () => {
    const certificate = makeCertificate(folder, { address: false });
    const watched = await startWatchedRedis({ tls: certificate });
    onTestFinished(watched.dispose);
    const nodes = await exerciseBy(watched.url, certificate);
    const [port = 0] = await watched.masterPorts();
    await watched.servers[0].stop();
    await watched.sentinels[0]?.admin('SENTINEL', 'FAILOVER', 'mymaster');
    await watched.failedOver(port);
    await untilReady(nodes);
    await exercise(nodes as [ClusterNode, ClusterNode]);
    for (const sentinel of watched.sentinels) expect(new Set(sentinel.hellos())).toEqual(NAMED);
    for (const server of watched.servers) expect(server.hellos()).toContain(true);
  });

  test('in a Redis Cluster, they find every master by name', async () => {
    const certificate = makeCertificate(folder, { address: false });
    const cluster = await startRedisCluster(3, false, [], certificate);
    onTestFinished(cluster.dispose);
    await exerciseBy(cluster.url, certificate);
    for (const server of cluster.servers) expect(new Set(server.hellos())).toEqual(NAMED);
  });

  test('a node without the authority is not ready, and its log names the certificate', async () => {
    const { url } = await secureRedis();
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
