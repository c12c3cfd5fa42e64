// Starts a server, waits until it answers, and stops it.
import type { ChildProcess } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ChildOptions, end, startNode } from './children.js';

/** How to start a server; `folder` is its own, and empty at first. */
export interface ServerSpec {
  /** Arguments of node. */
  args: readonly string[];
  env: (port: number, folder: string) => Record<string, string>;
  /** A path that it answers with 200. */
  probe: string;
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
  spec: ServerSpec,
  workFolder: string,
  before?: Pick<RunningServer, 'folder' | 'port'>,
  core: ChildOptions['core'] = 'server',
): Promise<RunningServer> {
  const folder = before?.folder ?? mkdtempSync(join(workFolder, 'server-'));
  const port = before?.port ?? (await freePort());
  const log = join(folder, 'log');
  const output = openSync(log, 'a');
  const startedAt = performance.now();
  const child = startNode(spec.args, {
    core,
    env: { ...spec.env(port, folder), PORT: String(port) },
    cwd: folder,
    output,
  });
  closeSync(output);
  await firstAnswer(child, port, spec.probe, log);
  return {
    pid: child.pid as number,
    port,
    folder,
    startMs: performance.now() - startedAt,
    stop: (signal) => end(child, signal),
  };
}

async function firstAnswer(child: ChildProcess, port: number, probe: string, log: string) {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!(await answers(port, probe))) {
    const ended = child.exitCode !== null || child.signalCode !== null;
    if (ended || performance.now() > deadline) {
      await end(child);
      throw new Error(`the server did not start:\n${readFileSync(log, 'utf8').slice(-2000)}`);
    }
    await sleep(PROBE_EVERY_MS);
  }
}

function answers(port: number, path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`);
    });
    let answer = '';
    socket.on('data', (bytes) => {
      answer += bytes.toString('latin1');
    });
    // Not listening yet; `close` follows.
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer.startsWith('HTTP/1.1 200 ')));
  });
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
