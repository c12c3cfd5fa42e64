// Runs a cluster as shipped, on loopback: Redis with deploy/redis, nodes as processes, and Caddy in front.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Certificate } from '@couplet/testkit/certificate';
import { type Command, spawnCommand } from '@couplet/testkit/command';
import { freePort } from '@couplet/testkit/coturn';
import { eventually } from '@couplet/testkit/eventually';
import { ROOT } from '../support.js';
import { shipped, startProgram } from './proxy.js';

/** Stops everything started, in reverse order. */
type Stop = () => Promise<void>;

const PASSWORD = 'a password of the tests';

/** Redis as docker-compose.cluster.yml starts it: durable, for the user couplet only; with a certificate, by TLS only. */
export async function startShippedRedis(
  folder: string,
  tls?: Pick<Certificate, 'cert' | 'key'>,
): Promise<{ url: string; stop: Stop }> {
  const port = await freePort();
  const dir = join(folder, `redis-${port}`);
  mkdirSync(dir);
  const own = ['--bind', '127.0.0.1', '--dir', dir];
  if (tls === undefined) own.push('--port', String(port));
  else {
    own.push('--port', '0', '--tls-port', String(port), '--tls-auth-clients', 'no');
    own.push('--tls-cert-file', tls.cert, '--tls-key-file', tls.key);
    own.push('--tls-ca-cert-file', tls.cert);
  }
  const { stop } = await startProgram(`${ROOT}deploy/redis/start.sh`, own, port, {
    REDIS_PASSWORD: PASSWORD,
  });
  const scheme = tls === undefined ? 'redis' : 'rediss';
  return { url: `${scheme}://couplet:${encodeURIComponent(PASSWORD)}@localhost:${port}`, stop };
}

export interface ClusterNode {
  /** Its own address, not through the balancer. */
  readonly url: string;
  /** Kills it. */
  kill(): Promise<void>;
  /** Sends SIGTERM, and waits until it has ended. */
  shutDown(): Promise<void>;
  /** Starts it again on its port, and waits until it listens. */
  start(): Promise<void>;
}

/** A node with these settings, on a port that it keeps over restarts. */
export async function startClusterNode(
  folder: string,
  env: Record<string, string>,
): Promise<ClusterNode> {
  const port = await freePort();
  const launch = () => {
    const common = { PORT: String(port), MAX_CREATES_PER_HOUR: '100000' };
    // A slow machine causes no timeout.
    const settings = { ...common, REDIS_TIMEOUT_MS: '30000', ...env };
    return spawnCommand(['serve'], { cwd: folder, env: settings });
  };
  let command: Command = launch();
  await command.listening;
  return {
    url: `http://127.0.0.1:${port}`,
    kill: () => command.kill(),
    async shutDown() {
      command.child.kill('SIGTERM');
      const { code, stderr } = await command.ended;
      if (code !== 0) throw new Error(`ended with ${code}: ${stderr}`);
    },
    async start() {
      command = launch();
      await command.listening;
    },
  };
}

/** Caddy with the shipped file, in front of these nodes, on plain HTTP; its timeouts are those of a slow machine. */
export async function startBalancer(
  folder: string,
  nodes: readonly Pick<ClusterNode, 'url'>[],
): Promise<{ url: string; wsUrl: string; stop: Stop }> {
  const port = await freePort();
  const main = join(folder, 'Caddyfile.main');
  // A slow machine makes no node unavailable.
  const patient = {
    'health_timeout 2s': 'health_timeout 60s',
    'dial_timeout 1s': 'dial_timeout 60s',
  };
  const site = shipped(folder, 'Caddyfile.cluster', patient);
  writeFileSync(main, `{\n admin off\n default_bind 127.0.0.1\n }\n import ${site}\n`);
  const { stop } = await startProgram(
    'caddy',
    ['run', '--config', main, '--adapter', 'caddyfile'],
    port,
    {
      // Caddy keeps files in the home folder of its user.
      HOME: folder,
      SITE: `:${port}`,
      NODES: nodes.map(({ url }) => new URL(url).host).join(' '),
    },
  );
  return { url: `http://127.0.0.1:${port}`, wsUrl: `ws://127.0.0.1:${port}`, stop };
}

/** Waits until these nodes are ready. */
export async function untilReady(nodes: readonly ClusterNode[]): Promise<void> {
  for (const { url } of nodes) {
    await eventually(async () => {
      const answer = await fetch(`${url}/readyz`);
      if (!answer.ok) throw new Error(await answer.text());
    });
  }
}

/** Three nodes over one Redis, ready; everything stops with `stop`. */
export async function startThreeNodes(
  folder: string,
  env: Record<string, string> = {},
): Promise<{ nodes: ClusterNode[]; stop: Stop }> {
  const redis = await startShippedRedis(folder);
  const settings = {
    REDIS_URL: redis.url,
    TRUST_PROXY: '1',
    // All clients have one address.
    MAX_CONNECTIONS_PER_ADDRESS: '50000',
    MAX_LOAD_PER_ADDRESS: '0',
    MAX_PENDINGS_PER_ADDRESS: '50000',
    ...env,
  };
  const nodes = await Promise.all([1, 2, 3].map(() => startClusterNode(folder, settings)));
  await untilReady(nodes);
  const stop = async () => {
    await Promise.all(nodes.map((node) => node.kill()));
    await redis.stop();
  };
  return { nodes, stop };
}
