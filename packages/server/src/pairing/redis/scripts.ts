// Loads the Lua scripts of pairing, and runs them with named arguments.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { MAX_SKEW_MS } from '../../base/clock.js';
import { MOST_BEYOND } from '../../limits/penalties.js';
import { HOUR_MS } from '../../limits/quota.js';
import { defineScript, type Redis, type Script, type ScriptFlag } from '../../redis/client.js';

// Not copied to `dist`: the same path leads from there to the sources, which the package contains.
const lua = (name: string) =>
  readFileSync(new URL(`../../../src/pairing/redis/lua/${name}.lua`, import.meta.url), 'utf8');
const shared = `
local HOUR_MS, MAX_SKEW_MS, MOST_BEYOND = ${HOUR_MS}, ${MAX_SKEW_MS}, ${MOST_BEYOND}
${lua('common')}`;
const load = <Name extends string>(flags: readonly ScriptFlag[], ...names: Name[]) => {
  const define = (name: Name) => defineScript(shared + lua(name), flags);
  return Object.fromEntries(names.map((name) => [name, define(name)])) as Record<Name, Script>;
};

/** The files explain the arguments. A full Redis refuses the scripts without a flag; the others need no memory. */
const scripts = {
  ...load([], 'accept', 'create', 'import', 'set-push-target'),
  ...load(['no-writes'], 'counts', 'recall'),
  ...load(['allow-oom'], 'cancel', 'check', 'delete-room', 'find-room', 'first-time', 'probe'),
  ...load(['allow-oom'], 'prove', 'purge', 'sweep', 'take-back'),
  ...load(['allow-oom'], 'claim-push', 'forget-push-target'),
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
