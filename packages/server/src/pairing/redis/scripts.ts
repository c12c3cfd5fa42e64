// Loads the Lua scripts of pairing, and runs them with named arguments.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { MAX_SKEW_MS } from '../../base/clock.js';
import { MOST_BEYOND } from '../../limits/penalties.js';
import { HOUR_MS } from '../../limits/quota.js';
import { defineScript, type Redis, type Script, type ScriptFlag } from '../../redis/client.js';
import type { Acceptance, NewPending, StoreLimits } from '../store.js';
import type { ImportedRow, ImportKind } from './import-rows.js';

/** Budgets that all nodes share. */
export interface StoreBudgets {
  /** Creates of an address. */
  readonly createsPerHour: number;
  /** Requests of an address with an Idempotency-Key. */
  readonly keyedPerHour: number;
  /** Maximum of failed guesses per minute, all addresses together. */
  readonly ceiling: number;
}

interface Operation<Arguments> extends Script {
  /** Has no value: it binds the type of the arguments to the script. */
  readonly arguments?: Arguments;
}

// Not copied to `dist`: the same path leads from there to the sources, which the package contains.
const lua = (name: string) =>
  readFileSync(new URL(`../../../src/pairing/redis/lua/${name}.lua`, import.meta.url), 'utf8');
const shared = `
local HOUR_MS, MAX_SKEW_MS, MOST_BEYOND = ${HOUR_MS}, ${MAX_SKEW_MS}, ${MOST_BEYOND}
${lua('common')}`;
const load = <Arguments = object>(name: string, ...flags: ScriptFlag[]): Operation<Arguments> =>
  defineScript(`pairing-${name}`, shared + lua(name), flags);

type Creator = Pick<NewPending, 'joinCode' | 'client1'> & { proofHash: string | undefined };
type Secrets = Pick<NewPending, 'secret' | 'proof'> & { hash: string };
type Creation = Secrets & { origin: string; lifeMs: number; limits: StoreLimits };
type Acceptor = Omit<Acceptance, 'collectableUntil'> & { hash: string; room: string };
type Held = { holder: string | undefined; isFinal: boolean; nowOfCaller: number };
type Deletion = { hashes: Record<string, true>; isRequired: boolean };
type Purge = Deletion & { deviceIds: readonly string[]; maxRows: number; progress: unknown };
type Import = { kind: ImportKind; notes: string; rows: readonly ImportedRow[] };
type Note = { notes: string; note: string; id: string; expiresAt: string | undefined };

/** The files explain the arguments. A full Redis refuses the scripts without a flag; the others need no memory. */
const scripts = {
  accept: load<Acceptor & { collectMs: number; limits: StoreLimits }>('accept'),
  cancel: load<Creator>('cancel', 'allow-oom'),
  check: load<Creator & Held>('check', 'allow-oom'),
  counts: load('counts', 'no-writes'),
  create: load<Creator & Creation>('create'),
  deleteRoom: load<Deletion & { id: string }>('delete-room', 'allow-oom'),
  findRoom: load<{ id: string; noteMs: number }>('find-room', 'allow-oom'),
  firstTime: load('first-time', 'allow-oom'),
  import: load<Import>('import'),
  probe: load('probe', 'allow-oom'),
  prove: load<{ id: string; deviceId: string }>('prove', 'allow-oom'),
  purge: load<Purge>('purge', 'allow-oom'),
  recall: load('recall', 'no-writes'),
  sweep: load<{ roomIdleMs: number; portion: number }>('sweep', 'allow-oom'),
  takeBack: load<Note>('take-back', 'allow-oom'),
};
export type ScriptName = keyof typeof scripts;
export type ArgumentsOf<Name extends ScriptName> =
  (typeof scripts)[Name] extends Operation<infer Arguments> ? Arguments : never;

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
  return <Name extends ScriptName>(
    name: Name,
    args: ArgumentsOf<Name>,
    now = 0,
    isPromise = true,
  ): Promise<unknown> => {
    const text = JSON.stringify(Object.assign({ now: isTimeGiven ? now : undefined }, args));
    return redis[isPromise ? 'write' : 'run'](scripts[name], keys, [text]);
  };
}
