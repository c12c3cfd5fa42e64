// The contract of guess budgets, for memory and Redis: with stores that hold real codes, used through two nodes.

import { FakeClock } from '@couplet/testkit/fake-clock';
import { describe, expect, test } from 'vitest';
import { Limited } from '../../src/base/failures.js';
import { InFlight, type Repeatable } from '../../src/http/idempotency.js';
import type { Quota } from '../../src/limits/quota.js';
import {
  ACCEPT_GUESSES,
  CHECK_GUESSES,
  createGuesses,
  type GuessLimits,
  type GuessRequest,
} from '../../src/pairing/guesses.js';
import type { Guess, PairingStore } from '../../src/pairing/store.js';
import { create } from '../support/store-calls.js';

export interface GuessNode {
  readonly store: PairingStore;
  /** Absent if the store counts requests with a key. */
  readonly keyed?: Quota;
}

/** Nodes that share budgets, or a single one. */
export type OpenNodes = (
  clock: FakeClock,
  limits: GuessLimits,
) => Promise<[GuessNode, ...GuessNode[]]>;

interface Try {
  request?: GuessRequest;
  isRight?: boolean;
  node?: number;
  /** Its Idempotency-Key, and its code, which by default is a new one each time. */
  key?: string;
  code?: string;
}

const HOUR = 3_600_000;
const LIMITS = { createsPerHour: 1000, keyedPerHour: 1000, ceiling: 1000 };
const many = <T>(times: number, work: (n: number) => Promise<T>) =>
  Promise.all(Array.from({ length: times }, (_, n) => work(n)));

export function guessContract(name: string, open: OpenNodes): void {
  const setUp = async (limits: Partial<GuessLimits> = {}) => {
    const clock = new FakeClock();
    const all = { ...LIMITS, ...limits };
    const opened = await open(clock, all);
    const counted = { accept: 0, check: 0, address: 0, ceiling: 0, queue: 0 };
    const nodes = opened.map(({ store, keyed }) => ({
      store,
      guesses: createGuesses(store, all, clock, { failures: counted, refusals: counted }),
      inFlight: new InFlight(
        keyed && { quota: keyed, recall: async (repeat) => store.recall?.(clock.now(), repeat) },
      ),
    }));
    const [{ store, guesses }] = nodes as [(typeof nodes)[0]];
    let codes = 0;
    const newCode = () => String(codes++).padStart(6, '0');
    const until = () => clock.now() + HOUR;

    const ask = async (
      { request = 'accept', node = 0, key, code = newCode() }: Try,
      address: string,
    ) => {
      const { store, guesses, inFlight } = nodes[node % nodes.length] as (typeof nodes)[0];
      const now = clock.now();
      const once: Repeatable | undefined =
        key === undefined
          ? undefined
          : { key, fingerprint: `${request} ${code}`, address, keptUntil: until() };
      const run = (guess?: Guess): Promise<{ kind: string }> => {
        const secret = 'secret';
        if (request === 'check')
          return store.check(code, 'creator', now, once, true, undefined, guess);
        if (request === 'create') {
          const pending = { joinCode: code, client1: 'other', expiresAt: until(), address, secret };
          return store.create(pending, now, once, guess);
        }
        const acceptance = { joinCode: code, client2: 'other', roomId: `room ${code}`, secret };
        return store.accept({ ...acceptance, collectableUntil: until() }, now, once, guess);
      };
      const work = () => guesses.run(request, { address, isGone: () => false, run });
      return once === undefined ? work() : inFlight.run(once, work);
    };

    /** Tries a code prepared for it; resolves to the kind of the outcome, or to the seconds to wait. */
    const guess = async (address: string, how: Try = {}): Promise<string | number> => {
      const code = how.code ?? newCode();
      const isLive = (how.request === 'create') !== (how.isRight ?? false);
      if (isLive && how.code === undefined)
        await create(store, code, 'creator', until(), clock.now());
      return ask({ ...how, code }, address).then(
        ({ kind }) => kind,
        (error) => {
          if (error instanceof Limited) return error.seconds;
          throw error;
        },
      );
    };

    /** Fails repeatedly, and waits for as long as required before each attempt. */
    const fail = async (address: string, times: number, request: GuessRequest = 'accept') => {
      for (let n = 0; n < times; n++) {
        let answer = await guess(address, { request });
        while (typeof answer === 'number') {
          clock.advance(answer * 1000);
          answer = await guess(address, { request });
        }
      }
    };
    /** Seconds that an address has to wait. If it need not wait, the attempt has no effect. */
    const waitOf = async (address: string, request: GuessRequest = 'accept') => {
      const answer = await guess(address, { request, isRight: true });
      return typeof answer === 'number' ? answer : 0;
    };
    return { clock, store, guesses, counted, guess, fail, waitOf };
  };
  const { free, forgiveSeconds } = ACCEPT_GUESSES;
  const isTold = (answer: string | number) => typeof answer === 'string';

  describe(`${name}: guesses`, () => {
    test('failures beyond the free ones cause a wait that doubles and expires', async () => {
      const { clock, fail, waitOf } = await setUp();
      await fail('a', free);
      expect(await waitOf('a')).toBe(0);
      await fail('a', 3);
      expect(await waitOf('a')).toBe(4);
      expect(await waitOf('b')).toBe(0);
      clock.advance(1500);
      expect(await waitOf('a')).toBe(3);
      clock.advance(2500);
      expect(await waitOf('a')).toBe(0);
    });

    test('one failure is forgiven for each period without a failure', async () => {
      const { clock, fail, waitOf } = await setUp();
      await fail('a', free);
      clock.advance(forgiveSeconds * 1000);
      await fail('a', 1);
      expect(await waitOf('a')).toBe(0);
      await fail('a', 1);
      expect(await waitOf('a')).toBe(1);
    });

    test('a flood of failures is forgiven in bounded time', async () => {
      const { clock, fail, waitOf } = await setUp();
      await fail('a', free + 40);
      expect(await waitOf('a')).toBeLessThanOrEqual(ACCEPT_GUESSES.maxWaitSeconds);
      clock.advance((free + 12) * forgiveSeconds * 1000);
      await fail('a', free);
      expect(await waitOf('a')).toBe(0);
    });

    test('if the clock is set back by seconds, waits continue; by far, none becomes longer', async () => {
      const { clock, fail, waitOf } = await setUp();
      await fail('a', free + 9);
      clock.set(-5000);
      expect(await waitOf('a')).toBeGreaterThan(0);
      clock.set(-HOUR);
      expect(await waitOf('a')).toBeLessThanOrEqual(2 ** 8);
      clock.advance(2 ** 8 * 1000);
      expect(await waitOf('a')).toBe(0);
    });

    test('in a burst of accepts and creates at two nodes, an address learns of the free failures and one more', async () => {
      const { guess, counted, waitOf } = await setUp();
      const requests = ['accept', 'create'] as const;
      const answers = await many(200, (n) =>
        guess('a', { request: requests[n % 2] as 'accept', node: (n >> 1) % 2 }),
      );
      expect(answers.filter(isTold)).toHaveLength(free + 1);
      expect(counted).toMatchObject({ accept: free + 1, check: 0, address: 200 - free - 1 });
      for (const request of requests) expect(await waitOf('a', request)).toBe(1);
      expect(await waitOf('b')).toBe(0);
    });

    test('failed checks have a separate, wider budget; refused ones are no failures, so one address cannot reach the ceiling', async () => {
      const { guess, guesses, counted, waitOf } = await setUp({ ceiling: CHECK_GUESSES.free + 2 });
      const answers = await many(400, () => guess('a', { request: 'check' }));
      expect(answers.filter(isTold)).toHaveLength(CHECK_GUESSES.free + 1);
      expect(counted.check).toBe(CHECK_GUESSES.free + 1);
      expect(await guesses.alarmed()).toBe(false);
      // A refused check reveals nothing, not even to the creator of the code.
      expect(await waitOf('a', 'check')).toBe(1);
      expect(await waitOf('a')).toBe(0);
    });

    test('a hundred concurrent right codes of one address pass and are not counted, even with its last free failure', async () => {
      for (const failed of [0, free]) {
        const { guess, fail, waitOf } = await setUp();
        await fail('a', failed);
        const requests = ['accept', 'create'] as const;
        const answers = await many(100, (n) =>
          guess('a', { request: requests[n % 2] as 'accept', isRight: true, node: (n >> 1) % 2 }),
        );
        expect(new Set(answers)).toEqual(new Set(['accepted', 'created']));
        await fail('a', free + 1 - failed);
        expect(await waitOf('a')).toBe(1);
      }
    });

    test('in a burst from many addresses, no more failures are reported than the ceiling; each address has one try', async () => {
      const { guess, guesses, counted } = await setUp({ ceiling: 50 });
      const answers = await many(1000, (n) =>
        guess(`address ${n % 100}`, { node: ((n / 100) % 2) | 0 }),
      );
      expect(answers.filter(isTold)).toHaveLength(50);
      expect(counted.accept).toBeLessThanOrEqual(50 + 100);
      expect(counted.ceiling).toBe(1000 - 50);
      expect(await guesses.alarmed()).toBe(true);
    });

    test('beyond the ceiling, a right code of an address without failures is answered and a wrong one is 429 until the next minute; an address with failures gets 429 for every code', async () => {
      const { guess, guesses, clock, waitOf } = await setUp({ ceiling: 2 });
      clock.advance(20_000);
      expect(await guess('a')).toBe('not_found_or_expired');
      expect(await guesses.alarmed()).toBe(false);
      expect(await guess('b', { node: 1 })).toBe('not_found_or_expired');
      expect(await guesses.alarmed()).toBe(true);
      const right = await many(20, () => guess('c', { isRight: true }));
      expect(new Set(right)).toEqual(new Set(['accepted']));
      expect(await waitOf('a')).toBe(40);
      expect(await guess('c')).toBe(40);
      expect(await guess('c')).toBe(40);
      expect(await waitOf('c')).toBe(40);
      clock.advance(40_000);
      expect(await guesses.alarmed()).toBe(false);
      expect(await waitOf('c')).toBe(0);
      expect(await guess('a')).toBe('not_found_or_expired');
    });

    test('a repeat with its key gets the first answer, and is not counted', async () => {
      const { guess, counted, waitOf } = await setUp();
      const first = { code: '999999', key: 'one' };
      for (let n = 0; n < 100; n++) {
        expect(await guess('a', { ...first, node: n % 2 })).toBe('not_found_or_expired');
      }
      expect(counted.accept).toBe(1);
      expect(await waitOf('a')).toBe(0);
      for (let n = 1; n <= free; n++) await guess('a', { key: `key ${n}` });
      expect(await waitOf('a')).toBe(1);
      expect(await guess('a', { ...first })).toBe('not_found_or_expired');
      expect(await guess('a', { ...first, code: '999998' })).toBe('key_reused');
      // A refused key may be used again later by the same request.
      expect(await guess('a', { code: '999997', key: 'late' })).toBe(1);
    });

    test('of concurrent repeats at two nodes, one counts as a guess', async () => {
      const { guess, counted } = await setUp();
      const repeats = await many(2, (node) =>
        guess('a', { code: '999999', key: 'one', node }).catch(String),
      );
      expect(repeats).toContain('not_found_or_expired');
      expect(counted.accept).toBe(1);
    });

    test('creates use the quota of their address: a burst, then one per interval, and never more than the full quota', async () => {
      const { guess, clock, waitOf, guesses } = await setUp({ createsPerHour: 60 });
      const take = (n = 0) => guess('a', { request: 'create', isRight: true, node: n % 2 });
      const drain = async () => (await many(80, take)).filter(isTold).length;
      expect(await drain()).toBe(60);
      expect(await take()).toBe(60);
      expect(await waitOf('a')).toBe(0);
      expect(await waitOf('b', 'create')).toBe(0);
      expect(await guesses.alarmed()).toBe(false);
      clock.advance(59_000);
      expect(await take()).toBe(1);
      clock.advance(1000);
      expect(await drain()).toBe(1);
      clock.advance(5 * HOUR);
      expect(await drain()).toBe(60);
      clock.set(-5000);
      expect(await take()).toBeGreaterThan(0);
      clock.set(-24 * HOUR);
      clock.advance(HOUR);
      expect(await take()).toBe('created');
    });

    test('requests with a key have a quota; repeats are free', async () => {
      const { guess } = await setUp({ keyedPerHour: 6 });
      const take = (n: number) => guess('a', { isRight: true, key: `key ${n}`, node: n % 2 });
      expect((await many(10, take)).filter(isTold)).toHaveLength(6);
      expect(await guess('a', { isRight: true, key: 'another' })).toBe(600);
      expect(await guess('b', { isRight: true, key: 'of b' })).toBe('accepted');
      expect(await guess('b', { code: '999999', key: 'twice' })).toBe('not_found_or_expired');
      expect(await guess('b', { code: '999999', key: 'twice' })).toBe('not_found_or_expired');
    });
  });
}
