// What the server runs on: where pairings and rooms are kept. One process by itself, or many nodes over Redis.

import type { Clock } from './base/clock.js';
import type { ReadinessCheck } from './http/lifecycle.js';
import type { Logger } from './observability/logger.js';
import type { Metrics } from './observability/metrics.js';
import type { PairingStore } from './pairing/store.js';
import type { Config } from './settings/config.js';
import type { Backplane, LocalConnections } from './signaling/backplane.js';

export interface Engine {
  /** Undefined: the rooms API is off. */
  readonly store: PairingStore | undefined;
  createBackplane(connections: LocalConnections): Backplane;
  /** What, beside the store, the server cannot do without. */
  readonly checks: readonly ReadinessCheck[];
  /** What GET /readyz adds for people, though the server is ready. */
  readonly notes?: readonly (() => string | undefined)[];
  /** Calls `listener` when the store may have failed to tell of a change. */
  onMissed(listener: () => void): void;
  /** Closes everything that was opened, the store included. */
  close(): Promise<void>;
}

export interface EngineDeps {
  config: Config;
  clock: Clock;
  metrics: Metrics;
  log: Logger;
  /** In the place of the store that the configuration says. */
  store: PairingStore | undefined;
}

/** Idle time and numbers that a store keeps to, from the settings. */
export const storeLimits = (config: Config) => ({
  roomIdleMs: config.roomIdleDays * 24 * 3600 * 1000,
  pendingsPerDevice: config.maxPendingsPerDevice,
  pendingsPerAddress: config.maxPendingsPerAddress,
  rooms: config.maxRooms,
  idempotencyRecords: config.maxIdempotencyRecords,
});
