// Runs a command of the server in this process, after installing and building what it needs.
import { readFileSync } from 'node:fs';
import { prepareServer, ROOT } from './prepare.js';

/** How often to check that npm is alive, in milliseconds. */
const CHECK_MS = 500;

/** Adds the arguments of this process to those of the command. */
export async function runServer(...command) {
  if (process.env.npm_lifecycle_event !== undefined) endWithParent();
  await prepareServer();
  process.argv.splice(2, 0, ...command);
  await import(`${ROOT}packages/server/bin/couplet.js`);
}

/** Ends this process as by SIGTERM when npm dies. A killed npm passes on no signal, and the port would stay in use. */
function endWithParent() {
  const parents = parentsOf();
  const timer = setInterval(() => {
    if (parentsOf() === parents) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, CHECK_MS);
  timer.unref();
}

/** The parent of this process, and its parent too where /proc tells: some shells stay between npm and this process. */
function parentsOf() {
  try {
    const status = readFileSync(`/proc/${process.ppid}/status`, 'utf8');
    return `${process.ppid} ${/^PPid:\s*(\d+)/m.exec(status)?.[1]}`;
  } catch {
    return `${process.ppid}`;
  }
}
