// Guesses of codes are limited, at one server and at two nodes that share their budgets in Redis; successful requests and the
// polling of a device's own pendings are not.

import { connect } from 'node:net';
import { PassThrough } from 'node:stream';
import { type Answer, call, createPending, newPending, roomsApi } from '@couplet/testkit/api';
import { describeWith } from '@couplet/testkit/components';
import { eventually } from '@couplet/testkit/eventually';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { scrape } from '@couplet/testkit/prometheus';
import { type RedisServer, startRedis } from '@couplet/testkit/redis-servers';
import { serverForTest } from '@couplet/testkit/server';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AppDeps } from '../../src/app.js';
import { createLogger } from '../../src/observability/logger.js';
import {
  ACCEPT_GUESSES,
  CHECK_GUESSES,
  type GuessLimits,
  type GuessRequest,
} from '../../src/pairing/guesses.js';
import { openRedisStore } from '../../src/pairing/redis/store.js';
import { newPrefix, openRedis } from '../support/redis-stores.js';

/** Starts nodes that share budgets, or a single server. Resolves to their URLs. */
type Open = (
  clock: FakeClock,
  env: Record<string, string>,
  limits: GuessLimits,
) => Promise<[string, ...string[]]>;

/** A request of a guesser: by default, an accept of a new code that is wrong. */
interface Try {
  request?: GuessRequest;
  isRight?: boolean;
  node?: number;
  /** Its Idempotency-Key. */
  key?: string;
  code?: string;
}

const HOUR = 3_600_000;
const LIMITS = { createsPerHour: 100_000, keyedPerHour: 1000, ceiling: 1000 };
const { free, forgiveSeconds, maxWaitSeconds } = ACCEPT_GUESSES;
const [A, B, C] = ['192.0.2.1', '192.0.2.2', '192.0.2.3'];
const PATHS = { accept: '/api/rooms/accept', create: '/api/rooms', check: '/api/rooms/check' };
/** The requests that share a budget. */
const KINDS = ['accept', 'create'] as const;

const from = (address: string) => ({ 'x-forwarded-for': address });
const many = <T>(times: number, work: (n: number) => Promise<T>) =>
  Promise.all(Array.from({ length: times }, (_, n) => work(n)));
const isTold = (answer: string | number) => typeof answer === 'string';

/** The status, or the seconds to wait after a 429. */
function outcomeOf({ status, headers, body }: Answer): string | number {
  if (status !== 429) return String(status);
  expect(body).toEqual({ error: 'rate_limited' });
  return Number(headers.get('retry-after'));
}

function limitsGuesses(open: Open): void {
  const setUp = async (changed: Partial<GuessLimits> = {}) => {
    const clock = new FakeClock();
    const limits = { ...LIMITS, ...changed };
    const env = {
      TRUST_PROXY: '1',
      MAX_PENDINGS_PER_ADDRESS: '100000',
      MAX_CREATES_PER_HOUR: String(limits.createsPerHour),
      MAX_KEYED_REQUESTS_PER_HOUR: String(limits.keyedPerHour),
      MAX_FAILED_GUESSES_PER_MINUTE: String(limits.ceiling),
    };
    const urls = await open(clock, env, limits);
    let codes = 0;
    const newCode = () => String(codes++).padStart(6, '0');

    /** Tries a code, and prepares it if necessary. */
    const guess = async (address: string, how: Try = {}): Promise<string | number> => {
      const { request = 'accept', isRight = false, node = 0, key, code = newCode() } = how;
      const client1 = `creator of ${code}`;
      const isLive = (request === 'create') !== isRight;
      if (isLive && how.code === undefined) {
        const pending = { joinid: code, client1, expiresInSeconds: 3600 };
        // Each creator has its own address.
        const owner = `2001:db8:0:${(codes % 0xffff).toString(16)}::1`;
        await call(urls[0], 'POST', PATHS.create, pending, from(owner));
      }
      const devices = { client1: request === 'create' ? code : client1, client2: 'other' };
      const body = { joinid: code, expiresInSeconds: 3600, ...devices };
      const headers = { ...from(address), ...(key && { 'idempotency-key': key }) };
      const url = urls[node % urls.length] as string;
      return outcomeOf(await call(url, 'POST', PATHS[request], body, headers));
    };
    /** Fails repeatedly, and waits for as long as required before each attempt. */
    const fail = async (address: string, times: number) => {
      for (let n = 0; n < times; n++) {
        let answer = await guess(address);
        while (typeof answer === 'number') {
          clock.advance(answer * 1000);
          answer = await guess(address);
        }
      }
    };
    /** Seconds that an address has to wait. If it need not wait, the attempt succeeds. */
    const waitOf = async (address: string, request: GuessRequest = 'accept') => {
      const answer = await guess(address, { request, isRight: true });
      return typeof answer === 'number' ? answer : 0;
    };
    /** A metric of all nodes together. */
    const metric = async (name: string, labels: Record<string, string> = {}) => {
      const values = urls.map(async (url) => (await scrape(url)).value(`couplet_${name}`, labels));
      return (await Promise.all(values)).reduce<number>((sum, value) => sum + (value ?? 0), 0);
    };
    const failures = (kind: string) => metric('failed_guesses_total', { kind });
    const refusals = (cause: string) => metric('refused_guesses_total', { cause });
    const isAlarmed = async () => (await metric('guess_alarm')) > 0;
    return { clock, guess, fail, waitOf, failures, refusals, isAlarmed };
  };

  test('failures beyond the free ones cause a wait that doubles and expires; another address is not affected, and an IPv6 address counts by its /64', async () => {
    const { clock, guess, fail, waitOf } = await setUp();
    await fail('2001:db8:1:2::1', free);
    expect(await waitOf('2001:db8:1:2::2')).toBe(0);
    await fail('2001:db8:1:2::3', 3);
    expect(await waitOf('2001:db8:1:2:ffff::1')).toBe(4);
    for (const other of ['2001:db8:1:3::1', A]) expect(await guess(other)).toBe('404');
    clock.advance(1500);
    expect(await waitOf('2001:db8:1:2::4')).toBe(3);
    clock.advance(2500);
    expect(await waitOf('2001:db8:1:2::4')).toBe(0);
  });

  test('one failure is forgiven for each period without a failure', async () => {
    const { clock, fail, waitOf } = await setUp();
    await fail(A, free);
    clock.advance(forgiveSeconds * 1000);
    await fail(A, 1);
    expect(await waitOf(A)).toBe(0);
    await fail(A, 1);
    expect(await waitOf(A)).toBe(1);
  });

  test('a flood of failures is forgiven in bounded time', async () => {
    const { clock, fail, waitOf } = await setUp();
    await fail(A, free + 40);
    expect(await waitOf(A)).toBeLessThanOrEqual(maxWaitSeconds);
    clock.advance((free + 12) * forgiveSeconds * 1000);
    await fail(A, free);
    expect(await waitOf(A)).toBe(0);
  });

  test('if the clock is set back by seconds, waits continue; by far, none becomes longer', async () => {
    const { clock, fail, waitOf } = await setUp();
    await fail(A, free + 9);
    clock.set(-5000);
    expect(await waitOf(A)).toBeGreaterThan(0);
    clock.set(-HOUR);
    expect(await waitOf(A)).toBeLessThanOrEqual(2 ** 8);
    clock.advance(2 ** 8 * 1000);
    expect(await waitOf(A)).toBe(0);
  });

  test('in a burst of accepts and creates at two nodes, an address learns of the free failures and one more', async () => {
    const { guess, failures, refusals, waitOf } = await setUp();
    const answers = await many(200, (n) =>
      guess(A, { request: KINDS[n % 2] as 'accept', node: (n >> 1) % 2 }),
    );
    expect(answers.filter(isTold)).toHaveLength(free + 1);
    expect([await failures('accept'), await failures('check')]).toEqual([free + 1, 0]);
    expect(await refusals('address')).toBe(200 - free - 1);
    for (const request of KINDS) expect(await waitOf(A, request)).toBe(1);
    expect(await waitOf(B)).toBe(0);
  });

  test('failed checks have a separate, wider budget; refused ones are no failures, so one address cannot reach the ceiling', async () => {
    const { guess, failures, isAlarmed, waitOf } = await setUp({ ceiling: CHECK_GUESSES.free + 2 });
    const answers = await many(200, () => guess(A, { request: 'check' }));
    expect(answers.filter(isTold)).toHaveLength(CHECK_GUESSES.free + 1);
    expect(await failures('check')).toBe(CHECK_GUESSES.free + 1);
    expect(await isAlarmed()).toBe(false);
    // A refused check reveals nothing, not even to the creator of the code.
    expect(await waitOf(A, 'check')).toBe(1);
    expect(await waitOf(A)).toBe(0);
  });

  test('a hundred concurrent right codes of one address pass and are not counted, even with its last free failure', async () => {
    for (const failed of [0, free]) {
      const { guess, fail, waitOf } = await setUp();
      await fail(A, failed);
      const answers = await many(100, (n) =>
        guess(A, { request: KINDS[n % 2] as 'accept', isRight: true, node: (n >> 1) % 2 }),
      );
      expect(new Set(answers)).toEqual(new Set(['200', '201']));
      await fail(A, free + 1 - failed);
      expect(await waitOf(A)).toBe(1);
    }
  });

  test('in a burst from many addresses, no more failures are reported than the ceiling; each address has one try', async () => {
    const { guess, failures, refusals, isAlarmed } = await setUp({ ceiling: 50 });
    const answers = await many(400, (n) =>
      guess(`10.0.0.${n % 100}`, { node: ((n / 100) % 2) | 0 }),
    );
    expect(answers.filter(isTold)).toHaveLength(50);
    expect(await failures('accept')).toBeLessThanOrEqual(50 + 100);
    expect(await refusals('ceiling')).toBe(400 - 50);
    expect(await isAlarmed()).toBe(true);
  });

  test('beyond the ceiling, a right code of an address without failures is answered and a wrong one is 429 until the next minute; an address with failures gets 429 for every code', async () => {
    const { guess, isAlarmed, clock, waitOf } = await setUp({ ceiling: 2 });
    clock.advance(20_000);
    expect(await guess(A)).toBe('404');
    expect(await isAlarmed()).toBe(false);
    expect(await guess(B, { node: 1 })).toBe('404');
    expect(await isAlarmed()).toBe(true);
    const right = await many(20, () => guess(C, { isRight: true }));
    expect(new Set(right)).toEqual(new Set(['200']));
    expect(await waitOf(A)).toBe(40);
    expect(await guess(C)).toBe(40);
    expect(await guess(C)).toBe(40);
    expect(await waitOf(C)).toBe(40);
    clock.advance(40_000);
    expect(await isAlarmed()).toBe(false);
    expect(await waitOf(C)).toBe(0);
    expect(await guess(A)).toBe('404');
  });

  test('a repeat with its key gets the first answer, and is not counted', async () => {
    const { guess, failures, waitOf } = await setUp();
    const first = { code: '999999', key: 'one' };
    for (let n = 0; n < 100; n++) expect(await guess(A, { ...first, node: n % 2 })).toBe('404');
    expect(await failures('accept')).toBe(1);
    expect(await waitOf(A)).toBe(0);
    for (let n = 1; n <= free; n++) await guess(A, { key: `key ${n}` });
    expect(await waitOf(A)).toBe(1);
    expect(await guess(A, { ...first })).toBe('404');
    expect(await guess(A, { ...first, code: '999998' })).toBe('422');
    // A refused key may be used again later by the same request.
    expect(await guess(A, { code: '999997', key: 'late' })).toBe(1);
  });

  test('of concurrent repeats at two nodes, one counts as a guess', async () => {
    const { guess, failures } = await setUp();
    const repeats = await many(2, (node) => guess(A, { code: '999999', key: 'one', node }));
    expect(repeats).toContain('404');
    expect(await failures('accept')).toBe(1);
  });

  test('creates use the quota of their address: a burst, then one per interval, and never more than the full quota', async () => {
    const { guess, clock, waitOf, isAlarmed } = await setUp({ createsPerHour: 60 });
    const take = (n = 0) => guess(A, { request: 'create', isRight: true, node: n % 2 });
    const drain = async () => (await many(80, take)).filter(isTold).length;
    expect(await drain()).toBe(60);
    expect(await take()).toBe(60);
    expect(await waitOf(A)).toBe(0);
    expect(await waitOf(B, 'create')).toBe(0);
    expect(await isAlarmed()).toBe(false);
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
    expect(await take()).toBe('201');
  });

  test('requests with a key have a quota; repeats and requests without a key are free', async () => {
    const { guess } = await setUp({ keyedPerHour: 6 });
    const take = (n: number) => guess(A, { isRight: true, key: `key ${n}`, node: n % 2 });
    expect((await many(10, take)).filter(isTold)).toHaveLength(6);
    expect(await guess(A, { isRight: true, key: 'another' })).toBe(600);
    expect(await guess(A, { isRight: true })).toBe('200');
    expect(await guess(B, { isRight: true, key: 'of b' })).toBe('200');
    for (let n = 0; n < 2; n++) expect(await guess(B, { code: '999999', key: 'two' })).toBe('404');
  });
}

describe('one server', () => {
  limitsGuesses(async (clock, env) => [(await serverForTest(env, { clock })).url]);
});

describeWith(['redis-server'], 'two nodes over Redis', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis?.dispose());

  limitsGuesses(async (clock, env, budgets) => {
    const connection = await openRedis(redis.url);
    const prefix = newPrefix();
    const start = async () => {
      const store = openRedisStore(connection, { prefix, budgets, isTimeGiven: true });
      return (await serverForTest(env, { clock, store })).url;
    };
    return [await start(), await start()];
  });
});

const server = async (env: Record<string, string> = {}, deps: AppDeps = {}) =>
  (await serverForTest(env, deps)).url;
const guess = (url: string, headers: Record<string, string> = {}) =>
  roomsApi(url).accept({ joinid: '000000', client2: 'x' }, headers);

test('without TRUST_PROXY a forged X-Forwarded-For has no effect, and one log line reports that it is ignored', async () => {
  const sink = new PassThrough();
  const log = createLogger({ logLevel: 'warn', logFormat: 'json' }, sink, false);
  const url = await server({}, { log, clock: new FakeClock() });
  for (let n = 0; n < free + 1; n++) await guess(url, from(`192.0.2.${n}`));
  expect((await guess(url, from('192.0.2.250'))).status).toBe(429);
  expect(String(sink.read()).match(/TRUST_PROXY/g)).toHaveLength(1);
});

test('a held check that ends with the expiry of its code is not a guess', async () => {
  const clock = new FakeClock();
  const url = await server({}, { clock });
  const timers = clock.pending;
  for (let n = 0; n < CHECK_GUESSES.free * 2; n += 40) {
    const mine = await many(40, () => createPending(url, { expiresInSeconds: 1 }));
    const held = mine.map(({ joinid, client1 }) =>
      roomsApi(url).check({ joinid, client1 }, { prefer: 'wait=30' }),
    );
    await clock.reach(timers + mine.length);
    clock.advance(1000);
    for (const answer of held) expect((await answer).status).toBe(404);
  }
});

test('a client that does not wait for its answers still has its guesses counted', async () => {
  const url = await server({}, { clock: new FakeClock() });
  for (let n = 0; n < 3; n++) {
    const body = JSON.stringify({ joinid: '000000', client2: 'x' });
    const request = `POST /api/rooms/accept HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write(request.repeat(free), () => socket.resetAndDestroy());
    await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  }
  await eventually(async () => expect((await guess(url)).status).toBe(429));
});

test.each([
  ['7', '0421370', '042137'],
  ['12', '042137042137', '0421370421370'],
])('with JOIN_CODE_DIGITS=%s, codes have that many digits', async (digits, right, wrong) => {
  const url = await server({ JOIN_CODE_DIGITS: digits });
  const create = (joinid: string) => roomsApi(url).create(newPending({ joinid }));
  const details = expect.stringContaining(`exactly ${digits} ASCII digits`);
  expect((await create(wrong)).body).toMatchObject({ error: 'invalid_joinid', details });
  expect((await create(right)).status).toBe(201);
  const document = await call(url, 'GET', '/openapi.json');
  expect(JSON.stringify(document.body)).toContain(`^[0-9]{${digits}}$`);
});
