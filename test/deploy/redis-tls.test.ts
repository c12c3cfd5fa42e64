// Redis by TLS alone: nodes that know its authority work as ever, others say why they do not.
import { expect, onTestFinished, test } from 'vitest';
import { call } from '../../packages/server/test/support/api.js';
import { makeCertificate } from '../../packages/server/test/support/certificate.js';
import { startCommand } from '../../packages/server/test/support/command.js';
import { describeWith } from '../../packages/server/test/support/components.js';
import { temporaryFolder } from '../../packages/server/test/support/server.js';
import { type ClusterNode, startClusterNode, startShippedRedis, untilReady } from './cluster.js';
import { exercise } from './exercise.js';

const folder = temporaryFolder();

describeWith(['redis-server', 'openssl'], 'rediss:// in REDIS_URL', () => {
  async function secureRedis() {
    const certificate = makeCertificate(folder);
    const redis = await startShippedRedis(folder, certificate);
    onTestFinished(redis.stop);
    return { url: redis.url, ca: certificate.cert };
  }

  test('two nodes that are told of the authority do everything over it', async () => {
    const { url, ca } = await secureRedis();
    const settings = { REDIS_URL: url, NODE_EXTRA_CA_CERTS: ca };
    const nodes: ClusterNode[] = [];
    for (const _ of [1, 2]) {
      const node = await startClusterNode(folder, settings);
      onTestFinished(node.kill);
      nodes.push(node);
    }
    await untilReady(nodes);
    await exercise(nodes as [ClusterNode, ClusterNode]);
  });

  test('one that is not is not ready, and its log names the certificate', async () => {
    const { url } = await secureRedis();
    const node = startCommand(['serve'], { cwd: folder, env: { REDIS_URL: url } });
    const address = await node.listening;
    expect((await call(address, 'GET', '/readyz')).status).toBe(503);
    node.child.kill('SIGTERM');
    const { code, stdout } = await node.ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /Redis is away.*self-signed certificate|self-signed certificate.*Redis is away/,
    );
    // The value is a secret.
    expect(stdout).not.toContain(new URL(url).password);
  });
});
