// Reads the duration (CHAOS_SECONDS) and the seed (CHAOS_SEED) of the faults; a seed repeats the same schedule and choices.
import { randomInt } from 'node:crypto';

/** Seconds of load and faults, without the start of the servers. */
export const CHAOS_SECONDS = Number(process.env.CHAOS_SECONDS || 60);

export const CHAOS_SEED = Number(process.env.CHAOS_SEED || randomInt(2 ** 31));

export const CHAOS_PAIRS = Number(process.env.CHAOS_PAIRS || 200);

/** The Redis behind the nodes: one that Sentinels watch, or a Redis Cluster. */
export const CHAOS_REDIS = process.env.CHAOS_REDIS === 'cluster' ? 'cluster' : 'sentinel';

/** A file for the whole history, an event in each line; beside it go the logs of the nodes. Empty: none. */
export const CHAOS_HISTORY = process.env.CHAOS_HISTORY ?? '';

/** Where node `number` logs, if the history is kept. */
export const logPathOf = (number: number): string =>
  CHAOS_HISTORY === '' ? '' : `${CHAOS_HISTORY}.node-${number}.log`;
