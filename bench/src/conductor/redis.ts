// Runs Redis as docs/cluster.md requires: each write is on disk before its answer. Uses no client library.
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, type RunningServer, startServer } from './server.js';

/** Time until a monitor has seen the last command. */
const SETTLE_MS = 300;

/** Commands that the sweep of every minute sends, besides its scripts. */
const OF_SWEEP = ['zcard', 'zrangebyscore', 'zremrangebyscore'];

/**
 * Commands that clients sent during a monitor run, by name. Those that nodes send on their own are left out: leases, sweeps,
 * and the empty messages by which a subscription tests itself.
 */
export type Commands = Map<string, number>;

export interface RunningRedis extends RunningServer {
  /** A section of INFO, by name. */
  info(section: 'stats' | 'memory' | 'commandstats'): Promise<Map<string, string>>;
  /** Counts commands. MONITOR takes more than half of Redis's time, so nothing else may be measured meanwhile. */
  commandsDuring(work: () => Promise<void>): Promise<Commands>;
}

/** @param more - settings in addition to the usual ones */
export async function startRedis(
  workFolder: string,
  more: Record<string, string>,
): Promise<RunningRedis> {
  const durable = { save: '', appendonly: 'yes', appendfsync: 'always' };
  const server = await startServer(
    {
      program: 'redis-server',
      args: (port) =>
        Object.entries({ port, bind: '127.0.0.1', ...durable, ...more }).flatMap(
          ([name, value]) => [`--${name}`, String(value)],
        ),
      env: () => ({}),
      probe: async (port) => (await ask(port, 'PING\r\nQUIT\r\n')).includes('PONG'),
    },
    workFolder,
  );
  const { port } = server;
  return {
    ...server,
    info: async (section) => {
      const text = await ask(port, `INFO ${section}\r\nQUIT\r\n`);
      const lines = text.matchAll(/^([a-z_]\S*?):(.*)\r$/gm);
      return new Map(Array.from(lines, ([, name = '', value = '']) => [name, value]));
    },
    commandsDuring: (work) => monitor(port, work),
  };
}

async function monitor(port: number, work: () => Promise<void>): Promise<Commands> {
  const commands: Commands = new Map();
  const socket = connect(port, '127.0.0.1');
  socket.write('MONITOR\r\n');
  const lines = createInterface(socket);
  await new Promise((resolve) => lines.once('line', resolve));
  lines.on('line', (line) => {
    const [, from, written] = /^\+[\d.]+ \[\d+ (\S+)\] "([^"]+)"/.exec(line) ?? [];
    if (from === undefined || from === 'lua' || written === undefined) return;
    const name = written.toLowerCase();
    const isBeat = name === 'spublish' && line.endsWith(' ""');
    if (isBeat || line.includes('{leases}') || OF_SWEEP.includes(name)) return;
    commands.set(name, (commands.get(name) ?? 0) + 1);
  });
  try {
    await work();
    await sleep(SETTLE_MS);
  } finally {
    socket.destroy();
  }
  return commands;
}
