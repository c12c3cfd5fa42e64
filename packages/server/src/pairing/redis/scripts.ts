// Loads the Lua scripts of pairing, and runs them with named arguments.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { MAX_SKEW_MS } from '../../base/clock.js';
import { MOST_BEYOND } from '../../limits/penalties.js';
import { HOUR_MS } from '../../limits/quota.js';
import { defineScript, type Redis, type Script, type ScriptFlag } from '../../redis/client.js';

/** Budgets that all nodes share. */
export interface StoreBudgets {
  /** Creates of an address. */
  readonly createsPerHour: number;
  /** Requests of an address with an Idempotency-Key. */
  readonly keyedPerHour: number;
  /** Maximum of failed guesses per minute, all addresses together. */
  readonly ceiling: number;
}

// Not copied to `dist`: the same path leads from there to the sources, which the package contains.
const lua = (name: string) =>
  readFileSync(new URL(`../../../src/pairing/redis/lua/${name}.lua`, import.meta.url), 'utf8');
const shared = `
local HOUR_MS, MAX_SKEW_MS, MOST_BEYOND = ${HOUR_MS}, ${MAX_SKEW_MS}, ${MOST_BEYOND}
${lua('common')}`;
const load = (name: string, ...flags: ScriptFlag[]): Script =>
  defineScript(`pairing-${name}`, shared + lua(name), flags);

/** The files explain the arguments. A full Redis refuses the scripts without a flag; the others need no memory. */
const scripts = {
  accept: load('accept'),
  cancel: load('cancel', 'allow-oom'),
  check: load('check', 'allow-oom'),
  counts: load('counts', 'no-writes'),
  create: load('create'),
  deleteRoom: load('delete-room', 'allow-oom'),
  findRoom: load('find-room', 'allow-oom'),
  firstTime: load('first-time', 'allow-oom'),
  import: load('import'),
  probe: load('probe', 'allow-oom'),
  prove: load('prove', 'allow-oom'),
  purge: load('purge', 'allow-oom'),
  recall: load('recall', 'no-writes'),
  sweep: load('sweep', 'allow-oom'),
  takeBack: load('take-back', 'allow-oom'),
};
export type ScriptName = keyof typeof scripts;

/** Digest of an id, for keys: 128 bits. */
export const hashOf = (text: string): string =>
  createHash('sha256').update(text).digest('base64url').slice(0, 22);

/** Beginning of the keys of pairing. */
export const placeOf = (prefix: string): string => `${prefix}{pairing}`;

/** @param isTimeGiven - whether the scripts take the time from the caller and not from Redis */
export function scriptRunner(redis: Redis, prefix: string, isTimeGiven = false) {
  // Two keys that never exist: while the slot moves, Redis refuses such a script before its first line (TRYAGAIN). It does
  // not check the keys that a script finds while it runs, and some may be on another master.
  const keys: [string, string] = [placeOf(prefix), `${placeOf(prefix)}-`];
  /** @param isPromise - whether the writes must reach the replicas before the request is answered */
  return (name: ScriptName, args: object, now = 0, isPromise = true): Promise<unknown> => {
    const text = JSON.stringify(Object.assign({ now: isTimeGiven ? now : undefined }, args));
    return redis[isPromise ? 'write' : 'run'](scripts[name], keys, [text]);
  };
}
