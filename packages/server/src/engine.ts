// Defines the engine of the server, which stores pairings and rooms, and creates the engine of a single process.
// cluster-engine.ts creates the engine of a cluster over Redis.
import type { ReadinessCheck } from './http/lifecycle.js';
import type { Services } from './observability/services.js';
import { openSqliteStore } from './pairing/sqlite/store.js';
import type { PairingStore } from './pairing/store.js';
import type { Config } from './settings/config.js';
import type { Backplane, LocalConnections } from './signaling/backplane.js';
import { createMemoryBackplane } from './signaling/memory-backplane.js';

export interface Engine {
  /** Undefined if the rooms API is off. */
  readonly store: PairingStore | undefined;
  createBackplane(connections: LocalConnections): Backplane;
  /** Checks for GET /readyz, beside the check of the store. */
  readonly checks: readonly ReadinessCheck[];
  /** Notes that GET /readyz adds while the server is ready. */
  readonly notes?: readonly (() => string | undefined)[];
  /** Calls `listener` when a notification of a change in the store may have been lost. */
  onMissed(listener: () => void): void;
  /** Closes everything that the engine opened, and the store. */
  close(): Promise<void>;
}

export interface EngineDeps extends Services {
  /** Replaces the store of the configuration. */
  store: PairingStore | undefined;
}

/** The limits of a store, from the settings. */
export const storeLimits = (config: Config) => ({
  roomIdleMs: config.roomIdleDays * 24 * 3600 * 1000,
  pendingsPerDevice: config.maxPendingsPerDevice,
  pendingsPerAddress: config.maxPendingsPerAddress,
  rooms: config.maxRooms,
  idempotencyRecords: config.maxIdempotencyRecords,
});

/**
 * Pairings in an SQLite file, everything else in memory.
 *
 * @throws DatabaseRefused if the database cannot be used
 */
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
