// Creates the engine of a single process: pairings in an SQLite file, everything else in memory.
import { type Engine, type EngineDeps, storeLimits } from './engine.js';
import { openSqliteStore } from './pairing/sqlite/store.js';
import { createMemoryBackplane } from './signaling/memory-backplane.js';

/** @throws DatabaseRefused if the database cannot be used */
export function embeddedEngine({ config, store }: EngineDeps): Engine {
  const opened =
    store ??
    (config.useSqlite ? openSqliteStore(config.sqliteDbPath, storeLimits(config)) : undefined);
  return {
    store: opened,
    createBackplane: createMemoryBackplane,
    checks: [],
    onMissed() {},
    close: async () => opened?.close(),
  };
}
