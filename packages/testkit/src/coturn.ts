// Runs the real coturn for tests through turn-server/start.sh, with its own ports and folder. The caller stops it.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TurnClient } from '../../doctor/src/turn-client.js';
import { eventually } from './eventually.js';

/** turn-server/, with start.sh and turnserver.conf. */
export const TURN_FOLDER = fileURLToPath(new URL('../../../turn-server/', import.meta.url));

export interface Coturn {
  /** UDP and TCP. */
  port: number;
  tlsPort: number;
  /** First and last relay port. */
  relayPorts: [number, number];
  /** Its log so far. */
  log(): string;
  /** Resolves once it has logged this text. */
  logged(text: string): Promise<void>;
  stop(): Promise<void>;
}

export interface CoturnOptions {
  /** Replaces ports that would otherwise be chosen. */
  env?: Record<string, string>;
  args?: string[];
  /** Rewrites turnserver.conf, for settings that would make a test too slow. */
  conf?: (shipped: string) => string;
  /** The command in front of start.sh, such as `['ip', 'netns', 'exec', name]`; the caller then waits for readiness. */
  prefix?: string[];
}

/** Relay ports of one coturn, more than any test allocates. */
const RELAY_PORTS = 60;

/** Starts coturn on loopback and waits for its answer to a STUN binding. The caller stops it. */
export async function startCoturn(options: CoturnOptions = {}): Promise<Coturn> {
  const { env = {}, args = [], prefix = [], conf = (shipped) => shipped } = options;
  const folder = mkdtempSync(join(tmpdir(), 'couplet-coturn-'));
  const script = join(folder, 'start.sh');
  writeFileSync(script, readFileSync(join(TURN_FOLDER, 'start.sh')));
  chmodSync(script, 0o700);
  const shipped = readFileSync(join(TURN_FOLDER, 'turnserver.conf'), 'utf8');
  writeFileSync(join(folder, 'turnserver.conf'), conf(shipped));
  const [port, tlsPort] = [await freePort(), await freePort()];
  const firstRelayPort = await freePort(RELAY_PORTS);
  const settings: Record<string, string> = {
    TURN_PORT: String(port),
    TURN_TLS_PORT: String(tlsPort),
    TURN_MIN_PORT: String(firstRelayPort),
    TURN_MAX_PORT: String(firstRelayPort + RELAY_PORTS - 1),
    TURN_LISTEN_IPS: '127.0.0.1',
    ...env,
  };
  const [program = script, ...rest] = [...prefix, script, ...args];
  const child = spawn(program, rest, {
    env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin`, TMPDIR: folder, ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text) => {
      log += text;
    });
  }
  const logged = (text: string) =>
    eventually(async () => {
      if (!log.includes(text)) throw new Error(`coturn has not logged ${text}:\n${log}`);
    }, 60_000);
  const stop = async () => {
    await ended(child);
    rmSync(folder, { recursive: true, force: true });
  };
  const coturn: Coturn = {
    port: Number(args.includes('static') ? settings.TURN_STATIC_PORT : settings.TURN_PORT),
    tlsPort: Number(settings.TURN_TLS_PORT),
    relayPorts: [Number(settings.TURN_MIN_PORT), Number(settings.TURN_MAX_PORT)],
    log: () => log,
    logged,
    stop,
  };
  if (prefix.length === 0) {
    const exited = new Promise<never>((_, reject) => {
      child.once('exit', () => reject(new Error(`coturn did not start:\n${log}`)));
    });
    try {
      await Promise.race([answersBinding(coturn.port), exited]);
    } catch (error) {
      await stop();
      throw error;
    }
  }
  return coturn;
}

/** Resolves when a STUN server answers. */
export async function answersBinding(port: number, host = '127.0.0.1'): Promise<void> {
  const client = await TurnClient.connect({ transport: 'udp', host, port, ignoreRefusals: true });
  try {
    await client.binding();
  } finally {
    client.close();
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  // After SIGTERM, coturn takes more than a second to end.
  child.kill('SIGKILL');
  await exit;
}

/** Ports in a block. */
const BLOCK = 200;
const FIRST_BLOCK = 12_000;
const BLOCKS = 100;

/** The rest of the block of this process. */
const mine = { next: 0, end: 0 };

/**
 * The first of `count` ports that are free for UDP and TCP. They are below the system's range for outgoing connections,
 * and in a block that belongs to this process until it ends. So no other test takes one before it is bound, or while the
 * program behind it restarts.
 */
export async function freePort(count = 1): Promise<number> {
  for (;;) {
    while (mine.next + count > mine.end) await takeBlock();
    const ports = Array.from({ length: count }, () => mine.next++);
    if (await all(ports, isFree)) return ports[0] as number;
  }
}

/** Takes a block for this process: only one process can listen on its first port. */
async function takeBlock(): Promise<void> {
  const first = FIRST_BLOCK + BLOCK * randomInt(BLOCKS);
  const holder = createServer().unref();
  const isMine = await new Promise<boolean>((resolve) => {
    holder.once('error', () => resolve(false));
    holder.listen(first, '127.0.0.1', () => resolve(true));
  });
  if (isMine) Object.assign(mine, { next: first + 1, end: first + BLOCK });
}

async function all(ports: number[], check: (port: number) => Promise<boolean>): Promise<boolean> {
  for (const port of ports) if (!(await check(port))) return false;
  return true;
}

function isFree(port: number): Promise<boolean> {
  const udp = new Promise<boolean>((resolve) => {
    const socket = createSocket('udp4');
    socket.once('error', () => resolve(false));
    socket.bind(port, () => socket.close(() => resolve(true)));
  });
  const tcp = new Promise<boolean>((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, () => server.close(() => resolve(true)));
  });
  return Promise.all([udp, tcp]).then((both) => both.every(Boolean));
}
