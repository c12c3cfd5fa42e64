// Starts a server, waits until it answers, and stops it.
import { closeSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ChildOptions, end, startNode, startProgram } from './children.js';

/** How to start a server; `folder` is its own, and empty at first. */
export interface ServerSpec {
  /** By default, node. */
  program?: string;
  args: (port: number, folder: string) => readonly string[];
  env: (port: number, folder: string) => Record<string, string>;
  /** A path that it answers with 200, or a function that asks it in another way. */
  probe: string | ((port: number) => Promise<boolean>);
}

export interface RunningServer {
  pid: number;
  port: number;
  folder: string;
  /** Time from the start of the process to its first answer, in milliseconds. */
  startMs: number;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

const START_TIMEOUT_MS = 20_000;
const PROBE_EVERY_MS = 2;

/** Starts a server. With the folder and the port of an earlier one, it restarts that one. */
export async function startServer(
  { program, args, env, probe }: ServerSpec,
  workFolder: string,
  before?: Pick<RunningServer, 'folder' | 'port'>,
  core: ChildOptions['core'] = 'server',
): Promise<RunningServer> {
  const folder = before?.folder ?? mkdtempSync(join(workFolder, 'server-'));
  const port = before?.port ?? (await freePort());
  const log = join(folder, 'log');
  const output = openSync(log, 'a');
  const options = { core, env: { ...env(port, folder), PORT: String(port) }, cwd: folder, output };
  const startedAt = performance.now();
  const child =
    program === undefined
      ? startNode(args(port, folder), options)
      : startProgram(program, args(port, folder), options);
  closeSync(output);
  const answers = typeof probe === 'function' ? probe : (to: number) => answersOk(to, probe);
  while (!(await answers(port))) {
    const ended = child.exitCode !== null || child.signalCode !== null;
    if (ended || performance.now() > startedAt + START_TIMEOUT_MS) {
      await end(child);
      const name = program ?? 'the server';
      throw new Error(`${name} did not start:\n${readFileSync(log, 'utf8').slice(-2000)}`);
    }
    await sleep(PROBE_EVERY_MS);
  }
  return {
    pid: child.pid as number,
    port,
    folder,
    startMs: performance.now() - startedAt,
    stop: (signal) => end(child, signal),
  };
}

const answersOk = async (port: number, path: string): Promise<boolean> =>
  (
    await ask(port, `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`)
  ).startsWith('HTTP/1.1 200 ');

/** What a port of this machine answers until it closes the connection; nothing if it does not listen. */
export function ask(port: number, request: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(request));
    socket.setEncoding('latin1').on('data', (text) => {
      answer += text;
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer));
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
