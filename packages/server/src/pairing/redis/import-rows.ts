// Imports rows of an SQLite file, or of an earlier Redis layout, into Redis.

/** A row for `import.lua`. */
export interface ImportedRow {
  readonly id: string;
  readonly row: Readonly<Record<string, string | number | null | undefined>>;
  readonly usedAt?: number | undefined;
  readonly note?: string;
}

/** Rooms are first, because an accepted pending is imported only if its room is there. */
export const IMPORT_KINDS = ['room', 'pending', 'record'] as const;
export type ImportKind = (typeof IMPORT_KINDS)[number];

/** Numbers of rows that were copied now, and that were copied before or were in Redis anyway. */
export type ImportCounts = Record<ImportKind, { copied: number; present: number }>;

type Portions = Iterable<ImportedRow[]> | AsyncIterable<ImportedRow[]>;

/** @param write - runs `import.lua` */
export async function importRows(
  write: (kind: ImportKind, rows: ImportedRow[]) => Promise<unknown>,
  sources: Record<ImportKind, Portions>,
): Promise<ImportCounts> {
  const counts = {} as ImportCounts;
  for (const kind of IMPORT_KINDS) {
    const count = { copied: 0, present: 0 };
    for await (const rows of sources[kind]) {
      const copied = Number(await write(kind, rows));
      count.copied += copied;
      count.present += rows.length - copied;
    }
    counts[kind] = count;
  }
  return counts;
}
