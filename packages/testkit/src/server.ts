// A running server for black-box tests: started here on a free port, or the one at COUPLET_URL.
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { afterAll, onTestFinished } from 'vitest';
import { type AppDeps, buildApp } from '../../server/src/app.js';
import { parseConfig } from '../../server/src/settings/config.js';
import { startBalancer } from './balancer.js';

export interface RunningServer {
  /** `http://127.0.0.1:port`, without a slash at the end. */
  url: string;
  /** The same for WebSocket. */
  wsUrl: string;
  /** The app, if the server was started here. */
  app: FastifyInstance;
  close(): Promise<void>;
}

/** Limits that tests would exceed: they send far more from one address than users do. */
const TEST_DEFAULTS = {
  USE_SQLITE: '1',
  SQLITE_DB_PATH: ':memory:',
  MAX_CREATES_PER_HOUR: '100000',
  MAX_LOAD_PER_ADDRESS: '0',
  MAX_SOCKETS: '5000',
  MAX_SOCKETS_PER_ADDRESS: '5000',
};

/** On a busy machine, an event loop may be blocked for so long that a server is not ready. */
const NO_STALLS = { takeLongest: () => 0 };

/** `COUPLET_TEST_REDIS_URL=redis://…`: runs the same tests with servers that keep everything in Redis. */
const TEST_REDIS = process.env.COUPLET_TEST_REDIS_URL;

/** In addition, `COUPLET_TEST_NODES=2`: the server in wire tests is that many nodes behind a balancer. */
const TEST_NODES = TEST_REDIS ? Number(process.env.COUPLET_TEST_NODES ?? 1) : 1;

/** Each server has its own key prefix, as each has its own database. */
const redisDefaults = ({
  USE_SQLITE = '1',
  SQLITE_DB_PATH = randomUUID(),
}: Record<string, string>): Record<string, string> =>
  TEST_REDIS && USE_SQLITE === '1'
    ? { REDIS_URL: TEST_REDIS, REDIS_PREFIX: `${SQLITE_DB_PATH.replaceAll('/', '.').slice(-60)}:` }
    : {};

/** A folder that is deleted after the tests of this file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'couplet-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Starts a server with its own database; `env` overrides the test defaults. The caller closes it. */
export async function startServer(
  env: Record<string, string> = {},
  deps: AppDeps = {},
): Promise<RunningServer> {
  const config = parseConfig({ ...TEST_DEFAULTS, ...redisDefaults(env), ...env });
  // As in the command.
  const app = await buildApp(config, { direct: true, stalls: NO_STALLS, ...deps });
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  return { url, wsUrl: url.replace('http', 'ws'), app, close: () => app.close() };
}

/** The same, closed when the test ends. */
export async function serverForTest(
  env: Record<string, string> = {},
  deps: AppDeps = {},
): Promise<RunningServer> {
  const server = await startServer(env, deps);
  onTestFinished(() => server.close());
  return server;
}

/**
 * The server that a wire test runs against: `COUPLET_URL` if it is set, so that any server can be tested. Otherwise one
 * that is started here and closed after the tests of this file.
 */
export async function serverUnderTest(): Promise<{ url: string; wsUrl: string }> {
  const given = process.env.COUPLET_URL?.replace(/\/$/, '');
  if (given) return { url: given, wsUrl: given.replace(/^http/, 'ws') };
  if (TEST_NODES > 1) return nodesUnderTest();
  const server = await startServer();
  afterAll(() => server.close());
  return server;
}

/** Several nodes that act as one server. Connections go to them in turn, so two peers of a test are on two nodes. */
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
