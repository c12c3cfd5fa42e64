// Runs Redis as docs/cluster.md requires: each write is on disk before its answer. Uses no client library.
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { end, startProgram } from './children.js';
import { freePort } from './server.js';

const START_TIMEOUT_MS = 10_000;
/** Time until a monitor has seen the last command. */
const SETTLE_MS = 300;

/** The version, such as `7.0.15`; null if there is no redis-server. */
export function redisVersion(): string | null {
  try {
    const text = execFileSync('redis-server', ['--version'], { encoding: 'utf8' });
    return / v=(\S+)/.exec(text)?.[1] ?? 'of an unknown version';
  } catch {
    return null;
  }
}

/** Commands that the sweep of every minute sends, besides its scripts. */
const OF_SWEEP = ['zcard', 'zrangebyscore', 'zremrangebyscore'];

/**
 * Commands during a monitor run: sent by clients and run by their scripts, by name. Commands that nodes send on their
 * own are left out: leases, sweeps, and the empty messages by which a subscription tests itself.
 */
export interface Commands {
  sent: Map<string, number>;
  inScripts: Map<string, number>;
}

export interface RunningRedis {
  pid: number;
  port: number;
  /** A section of INFO, by name. */
  info(section: 'stats' | 'memory' | 'commandstats'): Promise<Map<string, string>>;
  /** Counts commands. MONITOR takes more than half of Redis's time, so nothing else may be measured meanwhile. */
  commandsDuring(work: () => Promise<void>): Promise<Commands>;
  stop(): Promise<void>;
}

/** @param more - settings in addition to the usual ones */
export async function startRedis(
  workFolder: string,
  more: Record<string, string>,
): Promise<RunningRedis> {
  const folder = mkdtempSync(join(workFolder, 'redis-'));
  const port = await freePort();
  const output = openSync(join(folder, 'log'), 'a');
  const durable = { save: '', appendonly: 'yes', appendfsync: 'always' };
  const settings = { port, bind: '127.0.0.1', ...durable, ...more };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = startProgram('redis-server', args, { core: 'server', cwd: folder, output });
  closeSync(output);
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!(await ask(port, 'PING')).includes('PONG')) {
    if (performance.now() > deadline) {
      await end(child);
      throw new Error('redis-server did not start');
    }
    await sleep(20);
  }
  return {
    pid: child.pid as number,
    port,
    info: async (section) => {
      const lines = (await ask(port, `INFO ${section}`)).matchAll(/^([a-z_]\S*?):(.*)\r$/gm);
      return new Map(Array.from(lines, ([, name = '', value = '']) => [name, value]));
    },
    commandsDuring: (work) => monitor(port, work),
    stop: () => end(child),
  };
}

/** The answer to one command; nothing if there is none. */
function ask(port: number, command: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(`${command}\r\nQUIT\r\n`));
    socket.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
  });
}

async function monitor(port: number, work: () => Promise<void>): Promise<Commands> {
  const commands: Commands = { sent: new Map(), inScripts: new Map() };
  const socket = connect(port, '127.0.0.1');
  socket.write('MONITOR\r\n');
  const lines = createInterface(socket);
  await new Promise((resolve) => lines.once('line', resolve));
  let isOwn = false;
  lines.on('line', (line) => {
    const [, from, written] = /^\+[\d.]+ \[\d+ (\S+)\] "([^"]+)"/.exec(line) ?? [];
    if (from === undefined || written === undefined) return;
    const name = written.toLowerCase();
    // The commands of a script follow it.
    if (from !== 'lua') {
      const isBeat = name === 'spublish' && line.endsWith(' ""');
      isOwn = isBeat || line.includes('{leases}') || OF_SWEEP.includes(name);
    }
    if (isOwn) return;
    const counts = from === 'lua' ? commands.inScripts : commands.sent;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  });
  try {
    await work();
    await sleep(SETTLE_MS);
  } finally {
    socket.destroy();
  }
  return commands;
}
