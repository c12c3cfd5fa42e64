// npm run dev: rebuilds on every change, and restarts the server after every build.
import { spawn } from 'node:child_process';
import { prepare, ROOT } from './prepare.js';

await prepare();
// Each child has its own process group, so that Ctrl-C reaches only this process, which then stops both.
const start = (...args) =>
  spawn(process.execPath, args, {
    cwd: ROOT,
    stdio: 'inherit',
    detached: process.platform !== 'win32',
  });
const compiler = start(
  `${ROOT}node_modules/typescript/bin/tsc`,
  ...['-b', '--watch', '--preserveWatchOutput'],
);
const server = start('--watch', `${ROOT}packages/server/dist/main.js`, 'serve');

let stopping = false;
const stop = (code) => {
  if (stopping) return;
  stopping = true;
  process.exitCode = code;
  server.kill('SIGTERM');
  endGroup(compiler);
};
for (const child of [compiler, server]) child.once('exit', (code) => stop(code ?? 1));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => stop(0));

/** Stops the whole group, because the compiler runs in a wrapper that does not forward signals. */
function endGroup({ pid }) {
  try {
    if (process.platform === 'win32') process.kill(pid);
    else process.kill(-pid, 'SIGTERM');
  } catch {
    // The process has already ended.
  }
}
