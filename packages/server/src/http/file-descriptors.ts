// Reads how many files the process may open. Every socket counts as one.
import { readFileSync } from 'node:fs';

/** Files reserved for the database, Redis, the log and Node itself. */
const FILES_FOR_OTHERS = 64;

/**
 * Returns the soft limit of open files, which Node raises to the hard limit at its start; undefined if the system has no
 * `/proc`.
 */
export function openFilesLimit(path = '/proc/self/limits'): number | undefined {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync(path, 'utf8'))?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    // The system is not Linux, or /proc is not mounted. The limit is then unknown and bounds nothing.
    return undefined;
  }
}

/** Returns how many of the open files may be client sockets. */
export const filesForSockets = (openFiles: number): number =>
  Math.max(openFiles - FILES_FOR_OTHERS, Math.ceil(openFiles / 2));
