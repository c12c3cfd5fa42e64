// The engine of a process by itself: an SQLite file, everything else in memory.
import { type Budgets, type Engine, type EngineDeps, storeLimits } from './engine.js';
import { ACCEPT_GUESSES, CHECK_GUESSES } from './pairing/guesses.js';
import { openSqliteStore } from './pairing/sqlite-store.js';
import type { Clock } from './platform/clock.js';
import type { Config } from './platform/config.js';
import { MemoryMinuteCount } from './platform/minute-count.js';
import { MemoryPenalties } from './platform/penalties.js';
import { MemoryQuota } from './platform/quota.js';
import { createMemoryBackplane } from './signaling/memory-backplane.js';

/** Addresses whose failed guesses are remembered at most; each costs about a hundred bytes. */
const MAX_PENALTIES = 100_000;

/** @throws DatabaseRefused if the database cannot serve */
export function embeddedEngine({ config, clock, store }: EngineDeps): Engine {
  const opened =
    store ??
    (config.useSqlite ? openSqliteStore(config.sqliteDbPath, storeLimits(config)) : undefined);
  return {
    store: opened,
    budgets: memoryBudgets(config, clock),
    createBackplane: createMemoryBackplane,
    checks: [],
    onMissed() {},
    close: async () => opened?.close(),
  };
}

function memoryBudgets(config: Config, clock: Clock): Budgets {
  const accepts = new MemoryPenalties(ACCEPT_GUESSES, clock, MAX_PENALTIES);
  const checks = new MemoryPenalties(CHECK_GUESSES, clock, MAX_PENALTIES);
  return {
    accepts,
    checks,
    creates: new MemoryQuota(config.maxCreatesPerHour, clock, MAX_PENALTIES),
    keyed: new MemoryQuota(config.maxKeyedRequestsPerHour, clock, MAX_PENALTIES),
    failures: new MemoryMinuteCount(clock),
    guessers: () => ({ accept: accepts.size, check: checks.size }),
  };
}
