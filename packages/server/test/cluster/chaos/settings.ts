// The settings of a run: the environment of the test, the settings of the servers, and the bounds of the checker.
import { randomInt } from 'node:crypto';
import type { Bounds } from './history.js';

const { env } = process;

/** Seconds of load and faults, without the start of the servers; at least until every kind of fault of a node has occurred. */
export const CHAOS_SECONDS = Number(env.CHAOS_SECONDS || 30);
/** Repeats the same schedule and choices. */
export const CHAOS_SEED = Number(env.CHAOS_SEED || randomInt(2 ** 31));
/** Few enough that the process of the test does not stand still on two busy cores, which would excuse the servers. */
export const CHAOS_PAIRS = Number(env.CHAOS_PAIRS || 60);
/** The Redis of the nodes: one with Sentinels, or a Redis Cluster. */
export const CHAOS_REDIS = env.CHAOS_REDIS === 'cluster' ? 'cluster' : 'sentinel';
/** A file for the whole history, one event per line. The logs of the nodes are written beside it. Empty: none. */
export const CHAOS_HISTORY = env.CHAOS_HISTORY ?? '';

const HEARTBEAT_SECONDS = 2;
export const LEASE_SECONDS = 4;

export const SERVER_SETTINGS: Readonly<Record<string, string>> = {
  LOG_FORMAT: 'json',
  LOG_LEVEL: 'info',
  HEARTBEAT_SECONDS: String(HEARTBEAT_SECONDS),
  LEASE_SECONDS: String(LEASE_SECONDS),
  // Each master has one replica: no failover loses an answered write.
  REDIS_REPLICAS_ACK: '1',
  // Every client has a separate address, in X-Forwarded-For.
  TRUST_PROXY: '1',
  MAX_FAILED_GUESSES_PER_MINUTE: '1000000',
  MAX_CONNECTIONS_PER_ADDRESS: '1000',
  MAX_PENDINGS_PER_DEVICE: '1000',
  MAX_PENDINGS_PER_ADDRESS: '100000',
  // No other number in a log has twelve digits.
  JOIN_CODE_DIGITS: '12',
};

/** On two busy cores, a process may wait for its turn. Nodes read the leases once in a third of a lease. */
const settleMs = 3000;
export const BOUNDS: Bounds = {
  settleMs,
  silentMs: 3 * HEARTBEAT_SECONDS * 1000 + settleMs,
  recoveryMs: LEASE_SECONDS * 1000 * (1 + 1 / 3) + settleMs,
  usableMs: 10_000,
};
