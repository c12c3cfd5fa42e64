// Runs in the database thread: receives groups of calls and sends answers. No other thread ever waits for the disk.
import { platform, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import type { StoreLimits } from '../store.js';
import type { Identity } from './database.js';
import { type Call, failureOf, GroupCommit } from './group-commit.js';

/** The `workerData` of the thread. */
export interface ThreadData {
  path: string;
  limits: StoreLimits;
  /** The files that the event loop's connection has open. */
  identity: Identity | undefined;
}

/** Niceness (nice(1)) of this thread. If both threads share a core, the event loop gets about nine tenths of it. */
const NICENESS = 10;

/** Yields to the event loop: forwarding a message takes microseconds, and a commit waits for the disk in any case. */
function lowerPriority(): void {
  // On other systems than Linux, this would change the priority of the whole process.
  if (platform() !== 'linux') return;
  try {
    setPriority(NICENESS);
  } catch {
    // A sandbox forbids it. Both threads then have the same priority.
  }
}

const { path, limits, identity } = workerData as ThreadData;
let opened: GroupCommit | undefined;

/** Opens the database once. If that fails, the next group tries again, because the file may come back. */
const database = (): GroupCommit => {
  opened ??= new GroupCommit(path, limits, identity);
  return opened;
};

lowerPriority();
try {
  database();
} catch {
  // The first group tries again and reports the error.
}

/** A group of calls, or null to end the thread. */
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
