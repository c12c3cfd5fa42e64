// Defines the measured servers: Couplet as shipped, but with limits that one address does not reach; and its peers.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ServerName } from '../figures/row.js';
import type { ServerSpec } from './server.js';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const peer = (name: string) => () => [join(ROOT, 'bench/dist/peers', `${name}.js`)];

/**
 * Everything is enabled. Only limits per address or connection are set out of reach, because all load comes from one
 * machine. The server still counts and compares each of them.
 */
export const LOAD_SETTINGS: Record<string, string> = {
  MAX_CONNECTIONS: '1000000',
  MAX_CONNECTIONS_PER_ADDRESS: '1000000',
  MAX_SOCKETS: '1000000',
  MAX_SOCKETS_PER_ADDRESS: '1000000',
  MAX_LOAD_PER_ADDRESS: '1000000',
  MAX_LOG_LINES_PER_ADDRESS: '1000000000',
  MAX_MESSAGES_PER_SECOND: '10000000',
  MAX_BYTES_PER_SECOND: '10000000000',
  MAX_CREATES_PER_HOUR: '1000000000',
  MAX_PENDINGS_PER_ADDRESS: '10000000',
  MAX_WAITING_CHECKS: '100000',
  TRUST_PROXY: '1',
};

/** Accept queue length, for the peers that have the option. */
const BACKLOG = '4096';

/**
 * @param nodeArgs - options of node itself, such as those of its profiler
 * @param settings - replace those for a load from one address
 */
export const couplet = (
  nodeArgs: readonly string[] = [],
  settings: Record<string, string> = LOAD_SETTINGS,
): ServerSpec => ({
  args: () => [...nodeArgs, join(ROOT, 'packages/server/dist/main.js'), 'serve', '--sqlite'],
  env: (_port, folder) => ({
    ...settings,
    HOST: '127.0.0.1',
    SQLITE_DB_PATH: join(folder, 'chat.db'),
    LOG_FORMAT: 'json',
  }),
  probe: '/healthz',
});

/** Couplet without a database, to see how much of the time is the store's. */
export const NO_STORE: ServerSpec = {
  args: peer('no-store'),
  env: () => ({ ...LOAD_SETTINGS, HOST: '127.0.0.1', BACKLOG }),
  probe: '/healthz',
};

/** A node of a cluster, behind a balancer. */
export const coupletNode = (redisPort: number, more: Record<string, string> = {}): ServerSpec => ({
  args: () => [join(ROOT, 'packages/server/dist/main.js'), 'serve'],
  env: () => ({
    ...LOAD_SETTINGS,
    HOST: '127.0.0.1',
    REDIS_URL: `redis://127.0.0.1:${redisPort}`,
    LOG_FORMAT: 'json',
    ...more,
  }),
  probe: '/readyz',
});

export const SPECS: Record<ServerName, ServerSpec> = {
  couplet: couplet(),
  peerjs: { args: peer('peerjs'), env: () => ({}), probe: '/' },
  bare: { args: peer('bare-ws'), env: () => ({ BACKLOG }), probe: '/' },
  corked: { args: peer('bare-ws'), env: () => ({ BACKLOG, CORK: '1' }), probe: '/' },
  fastify: { args: peer('no-op-fastify'), env: () => ({ BACKLOG }), probe: '/' },
};
