// The rules of pairing over a PairingStore: how long codes live, what a room id is, how a check waits.
import { randomBytes } from 'node:crypto';
import { COLLECT_SECONDS, ROOM_ID_LENGTH } from '@couplet/protocol';
import type { Clock } from '../platform/clock.js';
import type { AcceptOutcome, CheckOutcome, CreateOutcome, PairingStore } from './store.js';
import type { Waiting } from './waiting.js';

export interface Pairing {
  create(
    joinCode: string,
    client1: string,
    expiresInSeconds: number,
  ): Promise<Exclude<CreateOutcome, { kind: 'created' }> | { kind: 'created'; expiresAt: number }>;
  accept(
    joinCode: string,
    client2: string,
  ): Promise<Exclude<AcceptOutcome, { kind: 'accepted' }> | { kind: 'accepted'; roomId: string }>;
  /**
   * Tells the creator how its pending stands. A waiting one is looked at again whenever it changes, until
   * `waitSeconds` have passed. Once `signal` aborts, nobody reads the answer: an accepted pending is then left to
   * be collected by the next check.
   */
  check(
    joinCode: string,
    client1: string,
    waitSeconds: number,
    signal: AbortSignal,
  ): Promise<CheckOutcome>;
}

export function createPairing(store: PairingStore, waiting: Waiting, clock: Clock): Pairing {
  store.onChange((joinCode) => waiting.wake(joinCode));
  return {
    async create(joinCode, client1, expiresInSeconds) {
      const now = clock.now();
      const expiresAt = now + expiresInSeconds * 1000;
      const outcome = await store.create(joinCode, client1, expiresAt, now);
      return outcome.kind === 'created' ? { kind: 'created', expiresAt } : outcome;
    },

    async accept(joinCode, client2) {
      const now = clock.now();
      const roomId = randomBytes(ROOM_ID_LENGTH / 2).toString('hex');
      const until = now + COLLECT_SECONDS * 1000;
      const outcome = await store.accept(joinCode, client2, roomId, until, now);
      return outcome.kind === 'accepted' ? { kind: 'accepted', roomId } : outcome;
    },

    async check(joinCode, client1, waitSeconds, signal) {
      const deadline = clock.now() + waitSeconds * 1000;
      for (;;) {
        const now = clock.now();
        if (now >= deadline || !waiting.open) return store.check(joinCode, client1, now);
        if (signal.aborted) return { kind: 'waiting', expiresAt: deadline };
        const watch = waiting.watch(joinCode);
        try {
          const outcome = await store.check(joinCode, client1, now);
          if (outcome.kind !== 'waiting') return outcome;
          await watch.sleep(Math.min(deadline, outcome.expiresAt), signal);
        } finally {
          watch.end();
        }
      }
    },
  };
}
