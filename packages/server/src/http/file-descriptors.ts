// How many files the process may have open: every socket is one.
import { readFileSync } from 'node:fs';

/** For everything that is no client: the database, Redis, the log, Node's own. */
const FILES_FOR_OTHERS = 64;

/**
 * The process's soft limit of open files, which Node raises to the hard limit at its start; undefined where the system
 * has no `/proc` to tell.
 */
export function openFilesLimit(path = '/proc/self/limits'): number | undefined {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync(path, 'utf8'))?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    // Not Linux, or /proc is not mounted: then nothing is known, and nothing is bounded by it.
    return undefined;
  }
}

/** How many of so many open files may be sockets of clients. */
export const filesForSockets = (openFiles: number): number =>
  Math.max(openFiles - FILES_FOR_OTHERS, Math.ceil(openFiles / 2));
