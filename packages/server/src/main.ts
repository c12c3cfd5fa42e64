#!/usr/bin/env node
// The command `couplet`: process environment, signals and exit codes; the only file that touches `process`.
import { existsSync, readFileSync } from 'node:fs';
import { parseArgs, parseEnv } from 'node:util';
import { buildApp } from './app.js';
import { DatabaseRefused, openDatabase } from './pairing/database.js';
import { type Config, ConfigError, parseConfig } from './platform/config.js';
import { createLogger } from './platform/logger.js';
import { VERSION } from './platform/version.js';

const HELP = `Usage: couplet <command> [options]

Commands:
  serve       serve pairing and signaling (the default)
  db:init     make or migrate the database, and exit; never drops data

Options:
  --sqlite    turn the rooms API on where the environment does not say (USE_SQLITE)
  --help      show this
  --version   show the version

Settings come from the environment, then from a .env file in this folder; docs/operations.md lists them.
`;

/** A fault for the person at the terminal: one line, no stack. */
class UsageError extends Error {}

async function main(): Promise<void> {
  const { values: options, positionals } = parseArguments();
  const [command = 'serve', ...rest] = positionals;
  if (options.help) return void process.stdout.write(HELP);
  if (options.version) return void process.stdout.write(`${VERSION}\n`);
  if (rest.length > 0) throw new UsageError(`unexpected argument: ${rest[0]}`);
  const config = parseConfig(environment(options.sqlite));
  switch (command) {
    case 'serve':
      return serve(config);
    case 'db:init':
      openDatabase(config.sqliteDbPath).close();
      return void process.stdout.write(`database ready: ${config.sqliteDbPath}\n`);
    default:
      throw new UsageError(`unknown command: ${command}; see couplet --help`);
  }
}

function parseArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        sqlite: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
        version: { type: 'boolean', short: 'v', default: false },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** Real variables win over `.env`, which wins over the command line's defaults. */
function environment(sqlite: boolean): Record<string, string | undefined> {
  const file = existsSync('.env') ? parseEnv(readFileSync('.env', 'utf8')) : {};
  return { ...(sqlite ? { USE_SQLITE: '1' } : {}), ...file, ...process.env };
}

async function serve(config: Config): Promise<void> {
  const log = createLogger(config, process.stdout, process.stdout.isTTY === true);
  const app = await buildApp(config, { log });
  let stopping = false;
  const stop = (signal: NodeJS.Signals) => {
    // A second signal, of either kind, means: now.
    if (stopping) process.exit(1);
    stopping = true;
    log.info({ signal }, 'shutting down');
    app.close().then(
      () => {
        log.info('stopped');
        process.exit(0);
      },
      (error: unknown) => {
        log.fatal({ err: error }, 'shutdown failed');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  log.info({ version: VERSION, roomsApi: config.useSqlite }, 'starting');
  await app.listen({
    port: config.port,
    host: config.host,
    listenTextResolver: (address) => `listening on ${address}`,
  });
}

/** What goes wrong at a start, for the person at the terminal. */
function explain(error: unknown): string[] {
  if (error instanceof ConfigError) return [...error.faults];
  if (error instanceof DatabaseRefused || error instanceof UsageError) return [error.message];
  const { code, port, address } = error as { code?: string; port?: number; address?: string };
  if (code === 'EADDRINUSE') return [`PORT: ${port} is already in use`];
  if (code === 'EACCES') return [`PORT: ${port} needs more rights than this process has`];
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return [`HOST: ${address ?? 'the name'} is not an address of this machine`];
  }
  return [error instanceof Error ? (error.stack ?? error.message) : String(error)];
}

main().catch((error: unknown) => {
  for (const line of explain(error)) process.stderr.write(`couplet: ${line}\n`);
  process.exit(1);
});
