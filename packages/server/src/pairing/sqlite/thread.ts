// The thread that owns the database: groups of calls in, answers out. No other thread ever waits for the disk.
import { platform, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import type { StoreLimits } from '../store.js';
import type { Identity } from './database.js';
import { type Call, failureOf, GroupCommit } from './group-commit.js';

/** What the thread is started with. */
export interface ThreadData {
  path: string;
  limits: StoreLimits;
  /** The files that the event loop's connection has open. */
  identity: Identity | undefined;
}

/** nice(1) of this thread: where it shares a core with the event loop, that goes first, at nine to one. */
const NICENESS = 10;

/** Messages are forwarded in microseconds, while a commit waits for the disk anyway. */
function letEventLoopGoFirst(): void {
  // Elsewhere than on Linux this would be the priority of the whole process.
  if (platform() !== 'linux') return;
  try {
    setPriority(NICENESS);
  } catch {
    // A sandbox that forbids it: then the two are equals.
  }
}

const { path, limits, identity } = workerData as ThreadData;
let opened: GroupCommit | undefined;

/** Opens the database, again where that failed: it was there when the server started, and may be there again. */
const database = (): GroupCommit => {
  opened ??= new GroupCommit(path, limits, identity);
  return opened;
};

letEventLoopGoFirst();
try {
  database();
} catch {
  // The first group says it.
}

/** null: the end. */
parentPort?.on('message', (calls: readonly Call[] | null) => {
  if (calls === null) {
    opened?.close();
    parentPort?.close();
    return;
  }
  try {
    database().run(calls, (answers) => parentPort?.postMessage(answers));
  } catch (error) {
    const failure = { ...failureOf(error), isOutage: true };
    const answers = calls.map((_, call) => ({ call, failure }));
    parentPort?.postMessage({ answers, changed: [] });
  }
});
