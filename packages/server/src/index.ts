// Exports the API for applications that embed the server in their own process.
export { type AppDeps, buildApp } from './app.js';
export { type Cancel, type Clock, systemClock } from './base/clock.js';
export type { KeyReused, Repeatable } from './http/idempotency.js';
export { type Middleware, mount } from './http/mount.js';
export { createLogger, type Logger } from './observability/logger.js';
export {
  type MetricDescription,
  Metrics,
  type Numbers,
  type Timer,
} from './observability/metrics.js';
export { DatabaseRefused } from './pairing/sqlite/database.js';
export { openSqliteStore } from './pairing/sqlite/store.js';
export type {
  Acceptance,
  AcceptOutcome,
  CheckOutcome,
  ClaimOutcome,
  CreateOutcome,
  NewPending,
  PairingStore,
  PurgeOutcome,
  Room,
  SetPushOutcome,
  StoreCounts,
  SweepCounts,
} from './pairing/store.js';
export type { Notifier, PushOutcome } from './push/notifier.js';
export { type Config, ConfigError, parseConfig } from './settings/config.js';
export type { JoinRequest } from './signaling/services.js';
