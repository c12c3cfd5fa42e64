// Manages the processes of a run: each is pinned to its core, and ended by its id even if the run fails.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chooseCores } from './cores.js';

export const CORES = chooseCores();

const running = new Set<ChildProcess>();

export interface ChildOptions {
  /** `any`: any free core, for processes that no load generator needs a core beside. */
  core: 'server' | 'load' | 'any';
  env?: Record<string, string>;
  cwd?: string;
  /** Destination of its output: a file descriptor, or this process's own output. */
  output: number | 'inherit';
}

/** Starts `node` with these arguments. It has an IPC channel to this process and should end when the channel closes. */
export const startNode = (args: readonly string[], options: ChildOptions): ChildProcess =>
  start(process.execPath, args, options, ['ipc']);

/** Starts a program without an IPC channel. */
export const startProgram = (
  program: string,
  args: readonly string[],
  options: ChildOptions,
): ChildProcess => start(program, args, options, []);

function start(
  executable: string,
  args: readonly string[],
  { core, env, cwd, output }: ChildOptions,
  channel: 'ipc'[],
): ChildProcess {
  const { server, load } = CORES ?? {};
  const cores = { server, load, any: `${server},${load}` }[core];
  const pinned = CORES === null ? [] : ['taskset', '-c', String(cores)];
  const [program = '', ...rest] = [...pinned, executable, ...args];
  const child = spawn(program, rest, {
    stdio: ['ignore', output, output === 'inherit' ? 'inherit' : output, ...channel],
    env: { ...process.env, ...env },
    ...(cwd === undefined ? {} : { cwd }),
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

/** Ends a process and waits until it has ended. */
export async function end(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}

/** Runs when this process ends, for any reason. */
export function endAllNow(): void {
  for (const child of running) child.kill('SIGKILL');
}

process.on('exit', endAllNow);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => process.exit(1));
}
