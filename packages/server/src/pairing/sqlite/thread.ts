// Runs in the database thread: receives groups of calls and sends answers. No other thread ever waits for the disk.
import { getPriority, platform, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { Unavailable } from '../../base/failures.js';
import type { StoreLimits } from '../store.js';
import type { Identity } from './database.js';
import { type Call, failed, GroupCommit } from './group-commit.js';

/** The `workerData` of the thread. */
export interface ThreadData {
  path: string;
  limits: StoreLimits;
  /** The files that the event loop's connection has open. */
  identity: Identity | undefined;
}

/** Added to the niceness (nice(1)) of the process. If both threads share a core, the event loop gets three quarters of it. */
const NICENESS = 5;

/** Yields to the event loop: forwarding a message takes microseconds, and a commit waits for the disk in any case. */
function lowerPriority(): void {
  // On other systems than Linux, this would change the priority of the whole process.
  if (platform() !== 'linux') return;
  try {
    setPriority(getPriority() + NICENESS);
  } catch {
    // A sandbox forbids it, or no priority is so low. Both threads then have the same priority.
  }
}

const { path, limits, identity } = workerData as ThreadData;
let opened: GroupCommit | undefined;

lowerPriority();

/** Returns the answers to a group, as JSON. */
function answersTo(group: string): string {
  const calls: Call[] = JSON.parse(group);
  try {
    const revived = calls.map(({ name, args }) => ({
      name,
      args: args.map((arg) => arg ?? undefined),
    }));
    // If opening fails, the next group tries again, because the file may come back.
    opened ??= new GroupCommit(path, limits, identity);
    return JSON.stringify(opened.run(revived));
  } catch (error) {
    return JSON.stringify(failed(calls.length, new Unavailable(error)));
  }
}

/** A group of calls as JSON, or null to end the thread. */
parentPort?.on('message', (group: string | null) => {
  if (group !== null) return parentPort?.postMessage(answersTo(group));
  opened?.close();
  parentPort?.close();
});
