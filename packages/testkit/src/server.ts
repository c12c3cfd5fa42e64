// A running server for black-box tests: one of our own on a free port, or whatever COUPLET_URL names.
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { afterAll } from 'vitest';
import { type AppDeps, buildApp } from '../../server/src/app.js';
import { parseConfig } from '../../server/src/settings/config.js';
import { startBalancer } from './balancer.js';

export interface RunningServer {
  /** `http://127.0.0.1:port`, no slash at the end. */
  url: string;
  /** The same for WebSocket. */
  wsUrl: string;
  /** The app, where the server is ours. */
  app: FastifyInstance;
  close(): Promise<void>;
}

/** A test makes more codes from one address than people do, and more of everything else. */
const TEST_DEFAULTS = {
  USE_SQLITE: '1',
  SQLITE_DB_PATH: ':memory:',
  MAX_CREATES_PER_HOUR: '100000',
  MAX_LOAD_PER_ADDRESS: '0',
  MAX_SOCKETS: '5000',
  MAX_SOCKETS_PER_ADDRESS: '5000',
};

/** `COUPLET_TEST_REDIS_URL=redis://…`: the same tests of servers that have everything in Redis. */
const TEST_REDIS = process.env.COUPLET_TEST_REDIS_URL;

/** With it, `COUPLET_TEST_NODES=2`: the server that a wire test judges is so many nodes behind a balancer. */
const TEST_NODES = TEST_REDIS ? Number(process.env.COUPLET_TEST_NODES ?? 1) : 1;

/** Each server has keys of its own, as each has a database of its own. */
const redisDefaults = ({
  USE_SQLITE = '1',
  SQLITE_DB_PATH = randomUUID(),
}: Record<string, string>): Record<string, string> =>
  TEST_REDIS && USE_SQLITE === '1'
    ? { REDIS_URL: TEST_REDIS, REDIS_PREFIX: `${SQLITE_DB_PATH.replaceAll('/', '.').slice(-60)}:` }
    : {};

/** A folder that is gone after the tests of this file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'couplet-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Starts a server with a database of its own; `env` is laid over the test defaults. The caller closes it. */
export async function startServer(
  env: Record<string, string> = {},
  deps: AppDeps = {},
): Promise<RunningServer> {
  const config = parseConfig({ ...TEST_DEFAULTS, ...redisDefaults(env), ...env });
  const app = await buildApp(config, deps);
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  return { url, wsUrl: url.replace('http', 'ws'), app, close: () => app.close() };
}

/**
 * The server that a wire test judges: `COUPLET_URL` where it is set, so that any server can be judged, else one of
 * our own that is closed after the tests of this file.
 */
export async function serverUnderTest(): Promise<{ url: string; wsUrl: string }> {
  const given = process.env.COUPLET_URL?.replace(/\/$/, '');
  if (given) return { url: given, wsUrl: given.replace(/^http/, 'ws') };
  if (TEST_NODES > 1) return nodesUnderTest();
  const server = await startServer();
  afterAll(() => server.close());
  return server;
}

/** Several nodes that are one server, and whose connections come in turns: two peers of a test live on two nodes. */
async function nodesUnderTest(): Promise<{ url: string; wsUrl: string }> {
  const env = { SQLITE_DB_PATH: randomUUID() };
  const nodes = await Promise.all(Array.from({ length: TEST_NODES }, () => startServer(env)));
  const { url, close } = await startBalancer(nodes.map((node) => node.url));
  afterAll(async () => {
    await Promise.all(nodes.map((node) => node.close()));
    await close();
  });
  return { url, wsUrl: url.replace('http', 'ws') };
}
