// Implements the rules of pairing over a PairingStore: lifetime of codes, creation of room ids, waiting of checks.
import { COLLECT_SECONDS, type PushTarget, ROOM_ID_LENGTH } from '@couplet/protocol';
import type { Clock } from '../base/clock.js';
import { judgeClaim, newDeviceSecret } from '../base/device-secrets.js';
import { randomText } from '../base/random-text.js';
import type { InFlight, KeyReused, Repeatable } from '../http/idempotency.js';
import type { HttpServices } from '../http/services.js';
import { given } from '../http/validation.js';
import type { Guesses } from './guesses.js';
import type { CheckOutcome, Guess, NewPending, PairingStore } from './store.js';
import type { Waiting } from './waiting.js';

/** Runs a read of the store, or rejects if the guess limits refuse it. */
export type GuardedRead = (
  read: (guess?: Guess) => Promise<CheckOutcome | KeyReused>,
) => Promise<CheckOutcome | KeyReused>;

export type Pairing = ReturnType<typeof createPairing>;

/** What the routes of the rooms API share. */
export interface PairingServices extends HttpServices {
  pairing: Pairing;
  store: PairingStore;
  guesses: Guesses;
  inFlight: InFlight;
}

/** The fields with which a request names a device of a room. */
interface DeviceClaim {
  readonly roomid: string;
  readonly client: string;
  readonly secret?: string | null;
}

/** @param requireSecrets - whether every request of a device must include its secret */
export function createPairing(
  store: PairingStore,
  waiting: Waiting,
  clock: Clock,
  requireSecrets: boolean,
) {
  store.onChange((joinCode) => waiting.wake(joinCode));
  return {
    /**
     * Whether a request comes from a device of the room. Once a device has sent its secret, every request needs it. The
     * answer is the same for an unknown room and for a room of other devices. It is never 404, which clients treat as the
     * end of a pairing.
     */
    async isPaired({ roomid, client, secret }: DeviceClaim): Promise<boolean> {
      const room = await store.findRoom(roomid, clock.now());
      const claim = room && judgeClaim(room, client, given(secret));
      if (claim?.kind === 'unproved') return !requireSecrets;
      if (claim?.kind !== 'proved') return false;
      if (claim.isNew) await store.prove(roomid, client);
      return true;
    },

    create(
      pending: Omit<NewPending, 'expiresAt' | 'secret'>,
      expiresInSeconds: number,
      once?: Repeatable,
      guess?: Guess,
    ) {
      const now = clock.now();
      const expiresAt = now + expiresInSeconds * 1000;
      // The spread is last: in Node.js 20, each object whose literal begins with a spread gets a hidden class of its own.
      const created = { expiresAt, secret: newDeviceSecret(), ...pending };
      return store.create(created, now, once, guess);
    },

    accept(joinCode: string, client2: string, push?: PushTarget, once?: Repeatable, guess?: Guess) {
      const now = clock.now();
      const roomId = randomText(ROOM_ID_LENGTH / 2, 'hex');
      const collectableUntil = now + COLLECT_SECONDS * 1000;
      const secret = newDeviceSecret();
      const acceptance = { joinCode, client2, roomId, collectableUntil, secret, push };
      return store.accept(acceptance, now, once, guess);
    },

    /**
     * Returns the state of a pending to its creator. A waiting pending is read again whenever it changes, until
     * `waitSeconds` have passed. After `signal` aborts, no client reads the answer, so an accepted pending is left for
     * the next check to collect.
     *
     * @param guarded - runs the first read of the store, which may be a guess. Later reads are no guesses: by then the
     * client has named a waiting code and its device
     */
    async check(
      joinCode: string,
      client1: string,
      waitSeconds: number,
      signal: AbortSignal,
      guarded: GuardedRead,
      once?: Repeatable,
      proof?: string,
    ): Promise<CheckOutcome | KeyReused> {
      let leftMs = waitSeconds * 1000;
      let isFirst = true;
      const read = (isFinal: boolean) => {
        const work = (guess?: Guess) =>
          store.check(joinCode, client1, clock.now(), once, isFinal, proof, guess);
        const outcome = isFirst ? guarded(work) : work();
        isFirst = false;
        return outcome;
      };
      for (;;) {
        const now = clock.now();
        if (signal.aborted) return { kind: 'waiting', expiresAt: now };
        if (leftMs <= 0 || !waiting.mayWatch(joinCode)) return read(true);
        const watch = waiting.watch(joinCode);
        try {
          const outcome = await read(false);
          if (outcome.kind !== 'waiting') return outcome;
          const sleepMs = Math.min(leftMs, outcome.expiresAt - now);
          const timeIsUp = await watch.sleep(now + sleepMs, signal);
          // The wall clock alone is not enough: if it were set back by an hour, the check would be held for an hour.
          leftMs -= timeIsUp ? sleepMs : Math.min(Math.max(0, clock.now() - now), sleepMs);
        } finally {
          watch.end();
        }
      }
    },
  };
}
