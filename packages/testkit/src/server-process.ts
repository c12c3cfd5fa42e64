// Runs the built server as a separate process, for kill -9 and for several processes on one database file.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

export interface ServerProcess {
  url: string;
  /** Kills it at once, without cleanup. */
  kill(): Promise<void>;
}

/** Updates the build; call it before the first {@link startProcess} of a file. */
export function build(): void {
  execFileSync(process.execPath, [`${ROOT}node_modules/typescript/bin/tsc`, '-b'], { cwd: ROOT });
}

/** Starts `couplet serve --sqlite` on a free port; it is killed when the test ends. */
export async function startProcess(databasePath: string): Promise<ServerProcess> {
  const child = spawn(
    process.execPath,
    [`${ROOT}packages/server/dist/main.js`, 'serve', '--sqlite'],
    {
      env: {
        PATH: process.env.PATH,
        PORT: '0',
        HOST: '127.0.0.1',
        SQLITE_DB_PATH: databasePath,
        LOG_FORMAT: 'json',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const kill = () => killed(child);
  onTestFinished(kill);
  const errors: Buffer[] = [];
  child.stderr.on('data', (chunk) => errors.push(chunk));
  for await (const line of createInterface(child.stdout)) {
    const url = /listening on (http:[^"]+)/.exec(line)?.[1];
    if (url === undefined) continue;
    child.stdout.resume();
    return { url, kill };
  }
  throw new Error(`the server did not start: ${Buffer.concat(errors)}`);
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}
