// Imports rows of an SQLite file, or of an earlier Redis layout, into Redis.
import type { scriptRunner } from './scripts.js';

/** Rooms are first, because an accepted pending is imported only if its room is there. */
export const IMPORT_KINDS = ['room', 'pending', 'record'] as const;
type ImportKind = (typeof IMPORT_KINDS)[number];

/**
 * Resolves to the numbers of rows that were copied now, and that were copied before or were in Redis anyway.
 *
 * @param sources - the rows for `import.lua`, in portions
 */
export async function importRows(
  run: ReturnType<typeof scriptRunner>,
  notes: string,
  sources: Record<ImportKind, Iterable<unknown[]> | AsyncIterable<unknown[]>>,
) {
  const counts = {} as Record<ImportKind, { copied: number; present: number }>;
  for (const kind of IMPORT_KINDS) {
    counts[kind] = { copied: 0, present: 0 };
    for await (const rows of sources[kind]) {
      const copied = Number(await run('import', { kind, notes, rows }));
      counts[kind].copied += copied;
      counts[kind].present += rows.length - copied;
    }
  }
  return counts;
}
