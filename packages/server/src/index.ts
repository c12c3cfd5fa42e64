// The door for applications that mount the server in their own process.
export { type AppDeps, buildApp } from './app.js';
export { type Middleware, mount } from './mount.js';
export { DatabaseRefused } from './pairing/database.js';
export { openSqliteStore } from './pairing/sqlite-store.js';
export type {
  Acceptance,
  AcceptOutcome,
  CheckOutcome,
  CreateOutcome,
  NewPending,
  PairingStore,
  PurgeOutcome,
  Room,
  StoreCounts,
  SweepCounts,
} from './pairing/store.js';
export { type Cancel, type Clock, systemClock } from './platform/clock.js';
export { type Config, ConfigError, parseConfig } from './platform/config.js';
export type { KeyReused, Repeatable } from './platform/idempotency.js';
export { createLogger, type Logger } from './platform/logger.js';
export { type MetricDescription, Metrics, type Numbers, type Timer } from './platform/metrics.js';
export type { JoinRequest } from './signaling/signaling.js';
