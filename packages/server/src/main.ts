#!/usr/bin/env node
// Implements the command `couplet`: arguments, environment, signals and exit codes. The only file that uses `process`.
import { once } from 'node:events';
import { existsSync, readFileSync, writeSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import type { Server } from 'node:tls';
import { parseArgs } from 'node:util';
import { systemClock } from './base/clock.js';
import { VERSION } from './base/version.js';
import { explain, listenFault, UsageError } from './cli/start-faults.js';
import { lanAddresses, lanOrigins } from './http/lan-addresses.js';
import { LogOutput } from './observability/log-output.js';
import { createLogger } from './observability/logger.js';
import { closeDatabase, openDatabase } from './pairing/sqlite/database.js';
import { type Config, parseConfig } from './settings/config.js';
import { type Environment, layered, misspelled, parseDotEnv } from './settings/environment.js';

const HELP = `Usage: couplet <command> [options]

Commands:
  serve       run the server (the default)
  db:init     create or migrate the database, then exit; never deletes data
  migrate     copy the database into Redis (REDIS_URL); never overwrites, so it can be repeated.
              With --redis-layout: copy the pairings that an older version stored in Redis
  push:check  check the credentials of the push services, and whether they can be reached
  doctor      check a running server and its TURN servers, with advice for each fault; see couplet doctor --help

Options:
  --port N    port to listen on, instead of PORT
  --host A    address to listen on, instead of HOST
  --db FILE   database file, instead of SQLITE_DB_PATH; turns the rooms API on
  --sqlite    turn the rooms API on if USE_SQLITE is not set
  --https     also serve HTTPS, on the port after PORT, with a certificate made for this machine. For development:
              on phones on the same network, browsers give a page the camera only over HTTPS
  --finish    with --redis-layout: also delete the old keys; stop all nodes of the older version first
  --help      show this help
  --version   show the version

Other settings come from the environment or, if absent there, from a .env file in the current folder. docs/operations.md
lists them.
`;

async function main(): Promise<void> {
  const [first, ...others] = process.argv.slice(2);
  // `doctor` has its own options and reads no settings.
  if (first === 'doctor') return examine(others);
  const { values: options, positionals } = parseArguments();
  const [command = 'serve', ...rest] = positionals;
  if (options.help) return void process.stdout.write(HELP);
  if (options.version) return void process.stdout.write(`${VERSION}\n`);
  const run = COMMANDS[command];
  if (run === undefined) throw new UsageError(`unknown command: ${command}; see couplet --help`);
  if (rest.length > 0) throw new UsageError(`unexpected argument: ${rest[0]}`);
  if (command !== 'migrate' && (options['redis-layout'] || options.finish)) {
    throw new UsageError('--redis-layout and --finish are options of migrate');
  }
  return run(parseConfig(environment(options)), options);
}

type Options = ReturnType<typeof parseArguments>['values'];

/** Modules that a server does not need are loaded by their command. */
const COMMANDS: Record<string, ((config: Config, options: Options) => Promise<void>) | undefined> =
  {
    __proto__: null as never,
    serve,
    'db:init': async (config) => {
      closeDatabase(openDatabase(config.sqliteDbPath));
      process.stdout.write(`database ready: ${config.sqliteDbPath}\n`);
    },
    migrate: async (config, { 'redis-layout': isOldLayout, finish }) => {
      const { migrateToRedis } = await import('./cli/migrate.js');
      process.stdout.write(await migrateToRedis(config, isOldLayout, finish));
    },
    'push:check': async (config) => {
      const { checkPush } = await import('./push/check.js');
      const write = (text: string) => process.stdout.write(text);
      process.exitCode = (await checkPush(config, { clock: systemClock, write })) ? 0 : 1;
    },
  };

function parseArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        port: { type: 'string' },
        host: { type: 'string' },
        db: { type: 'string' },
        sqlite: { type: 'boolean', default: false },
        'redis-layout': { type: 'boolean', default: false },
        https: { type: 'boolean', default: false },
        finish: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
        version: { type: 'boolean', short: 'v', default: false },
      },
    });
  } catch (error) {
    // Node.js adds advice for arguments that begin with a hyphen, of which this command has none.
    const [fault] = (error as Error).message.split(/\.\s/);
    throw new UsageError(`${fault}; see couplet --help`);
  }
}

/** Merges the settings: first the command line, then the environment, then `.env`, then the defaults of the command line. */
function environment({ port, host, db, sqlite }: Options): Environment {
  const line = {
    PORT: port,
    HOST: host,
    SQLITE_DB_PATH: db,
    ...(db === undefined ? {} : { USE_SQLITE: '1' }),
  };
  const file = existsSync('.env') ? parseDotEnv(readDotEnv()) : {};
  for (const warning of misspelled(file)) process.stderr.write(`couplet: ${warning}\n`);
  // On a terminal, a person reads the addresses, and the lines of requests would move them out of view.
  const quiet = process.stdout.isTTY ? { LOG_LEVEL: 'warn' } : {};
  return layered(line, process.env, file, quiet, sqlite ? { USE_SQLITE: '1' } : {});
}

function readDotEnv(): Uint8Array {
  try {
    return readFileSync('.env');
  } catch (error) {
    throw new UsageError(`.env: cannot be read (${(error as { code?: string }).code})`);
  }
}

/** Runs `doctor`. Exit codes: 0 if all checks passed, 1 if a check failed, 2 for wrong usage. */
async function examine(args: readonly string[]): Promise<void> {
  // Loaded here because a server does not need it.
  const { doctor } = await import('@couplet/doctor');
  const stop = new AbortController();
  process.once('SIGINT', () => {
    // A second signal ends the process at once.
    process.once('SIGINT', () => process.exit(1));
    stop.abort();
  });
  const { stdout, env } = process;
  const isTerminal = stdout.isTTY === true;
  const look = {
    columns: isTerminal ? stdout.columns : 100,
    colour: isTerminal && !env.NO_COLOR && env.TERM !== 'dumb',
  };
  try {
    const code = await doctor(args, {
      write: (text) => stdout.write(text),
      look,
      stop: stop.signal,
    });
    // Exits explicitly: a pending DNS lookup would keep the process alive.
    stdout.write('', () => process.exit(code));
  } catch (error) {
    process.stderr.write(`couplet doctor: ${(error as Error).message}; see --help\n`);
    process.exit(2);
  }
}

async function serve(config: Config, { https }: Options): Promise<void> {
  // Access to `process.stdout` also makes a pipe non-blocking, so that a slow reader delays the log but not the server.
  const { fd, isTTY } = process.stdout;
  const output = new LogOutput(
    (bytes) => writeSync(fd, bytes),
    systemClock,
    (lines) => log.warn({ lines }, 'log lines lost'),
  );
  const log = createLogger(config, output, isTTY === true);
  // Writes the waiting lines, however the process ends.
  process.on('exit', () => output.flush());
  const tlsServer = https ? await developmentServer(config) : undefined;
  // Loaded here because loading it takes most of a start, and neither the other commands nor a refused start need it.
  const { buildApp } = await import('./app.js');
  const app = await buildApp(config, { log, direct: true, ...(tlsServer ? { tlsServer } : {}) });
  let stopping = false;
  const stop = (signal: NodeJS.Signals) => {
    // A second signal of either kind ends the process at once.
    if (stopping) process.exit(1);
    stopping = true;
    log.info({ signal }, 'shutting down');
    if (isTTY) process.stdout.write('\nStopping\n');
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
  const roomsApi = config.useSqlite || config.redisUrl !== '';
  log.info({ version: VERSION, roomsApi }, 'starting');
  const listening = app.listen({
    port: config.port,
    host: config.host,
    backlog: config.listenBacklog,
    listenTextResolver: (address) => `listening on ${address}`,
  });
  await listening.catch((error: unknown) => {
    throw listenFault(error);
  });
  const { port } = app.server.address() as AddressInfo;
  if (tlsServer !== undefined) {
    tlsServer.listen(config.port === 0 ? 0 : port + 1, config.host);
    await once(tlsServer, 'listening').catch((error: unknown) => {
      throw listenFault(error);
    });
    const tls = tlsServer.address() as AddressInfo;
    log.info(`listening on https://${config.host}:${tls.port}`);
  }
  if (!isTTY) return;
  // Loaded here because a server without a terminal needs no QR code.
  const { welcome } = await import('./cli/terminal.js');
  const [origin] = tlsServer ? lanOrigins('https', tlsServer) : lanOrigins('http', app.server);
  process.stdout.write(welcome(config, port, origin));
}

/** The modules are loaded here because only development needs them. */
async function developmentServer(config: Config): Promise<Server> {
  const { createServer } = await import('node:tls');
  const { developmentCertificate } = await import('./http/development-certificate.js');
  const file = join(dirname(config.sqliteDbPath), 'development-certificate.pem');
  const pem = developmentCertificate(file, lanAddresses(config.host));
  return createServer({ key: pem, cert: pem });
}

main().catch((error: unknown) => {
  for (const line of explain(error)) process.stderr.write(`couplet: ${line}\n`);
  process.exit(1);
});
