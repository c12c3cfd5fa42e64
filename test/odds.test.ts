// Checks the odds in SECURITY.md: computes the table from the limits, and attacks running servers with default settings.

import { FakeClock } from '@couplet/testkit/fake-clock';
import { startServer } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { Penalties, unforgiven, waitAfter } from '../packages/server/src/limits/penalties.js';
import { Quota } from '../packages/server/src/limits/quota.js';
import { ACCEPT_GUESSES, CHECK_GUESSES } from '../packages/server/src/pairing/guesses.js';
import { openSqliteStore } from '../packages/server/src/pairing/sqlite/store.js';
import type { PairingStore } from '../packages/server/src/pairing/store.js';
import { SETTINGS } from '../packages/server/src/settings/config.js';
import { RawSocket } from '../packages/server/test/support/raw-http.js';
import { bestPlan, chance, mostGuesses, shown } from '../scripts/odds.js';
import { read, section } from './support.js';

const HOUR = 3600;
const RULES = { waitAfter, unforgiven };
const defaultOf = (name: string) => SETTINGS.get(name)?.default as number;
const CREATES_PER_HOUR = defaultOf('MAX_CREATES_PER_HOUR');
const AT_ONCE = ACCEPT_GUESSES.free + 1;
const CEILING = defaultOf('MAX_FAILED_GUESSES_PER_MINUTE');
const security = read('SECURITY.md');
const guessing = section(security, '## Guessing join codes');

test('the penalties allow each guess of the best plan of an address when it is due, and no earlier', () => {
  for (const policy of [ACCEPT_GUESSES, CHECK_GUESSES]) {
    const clock = new FakeClock();
    const penalties = new Penalties(policy, clock, 100);
    const guess = () => {
      const isRefused = penalties.wait('attacker') > 0;
      if (!isRefused) penalties.fail('attacker');
      return isRefused ? 'refused' : 'failed';
    };
    let failures = 0;
    for (const pause of [0, ...bestPlan(policy, RULES, policy === ACCEPT_GUESSES ? HOUR : 120)]) {
      if (waitAfter(failures, policy) === pause && pause > 0) {
        clock.advance(pause * 1000 - 1);
        expect(guess()).toBe('refused');
        clock.advance(1);
      } else {
        clock.advance(pause * 1000);
      }
      expect(guess()).toBe('failed');
      failures = unforgiven(failures, pause, policy) + 1;
    }
  }
});

test('SECURITY.md states the guesses of the first hour and of later hours', () => {
  expect(guessing).toContain(
    `${mostGuesses(ACCEPT_GUESSES, RULES, HOUR)} guesses in the first hour, and ${HOUR / ACCEPT_GUESSES.forgiveSeconds} in each later`,
  );
  expect(guessing).toContain(`${AT_ONCE} accepts and creates, ${CHECK_GUESSES.free + 1} checks`);
  expect(guessing).toContain(`${CEILING} failures with 404, and one more try`);
  expect(guessing).toContain(`may fail ${ACCEPT_GUESSES.free} times`);
  expect(guessing).toContain(`up to ${ACCEPT_GUESSES.maxWaitSeconds / 60} minutes`);
  expect(guessing).toContain(`every ${ACCEPT_GUESSES.forgiveSeconds / 60} minutes`);
});

test('the quota of creates allows twice its hourly number in the first hour', async () => {
  const clock = new FakeClock();
  const quota = new Quota(CREATES_PER_HOUR, clock, 10);
  const end = clock.now() + HOUR * 1000;
  let creates = 0;
  while (clock.now() < end) {
    const wait = await quota.take('attacker');
    if (wait === 0) creates += 1;
    else clock.advance(wait * 1000);
  }
  expect(creates).toBeLessThanOrEqual(2 * CREATES_PER_HOUR);
  const text = guessing.replace(/\s+/g, ' ');
  expect(text).toContain(`may make ${CREATES_PER_HOUR} codes at once`);
  expect(text).toContain(`allows ${2 * CREATES_PER_HOUR} more tries`);
});

test('a chance is that of at least one hit, and is never shown as exactly zero or one', () => {
  expect(chance(1, 10, 6)).toBeCloseTo(1e-5, 12);
  expect(chance(33, 50_000, 6)).toBeCloseTo(1 - 0.95 ** 33, 12);
  expect(shown(chance(33_000, 50_000, 6))).toBe('> 99.9 %');
  expect(shown(0.998)).toBe('> 99 %');
  expect(shown(0.994)).toBe('99 %');
  expect(shown(0.0325)).toBe('3.3 %');
  expect(shown(3.3e-10)).toBe('1 in 3,000,000,000');
});

/** A server with default settings; the settings of test servers are undone. Counts the codes that its store is asked for. */
async function target() {
  const clock = new FakeClock();
  const store = openSqliteStore(':memory:');
  const asked = { accepts: 0 };
  // As slow as a commit, so that further guesses arrive before the outcome of one is known.
  const accept: PairingStore['accept'] = async (...acceptance) => {
    asked.accepts += 1;
    await new Promise(setImmediate);
    return store.accept(...acceptance);
  };
  const defaults = { MAX_CREATES_PER_HOUR: String(CREATES_PER_HOUR) };
  const server = await startServer(defaults, { clock, store: { ...store, accept } });
  onTestFinished(() => server.close());
  return { url: server.url, asked, clock };
}

let nextCode = 0;
const codes = (count: number) =>
  Array.from({ length: count }, () => String(nextCode++ % 1_000_000).padStart(6, '0'));

const accept = (joinid: string, connection = 'keep-alive') => {
  const body = JSON.stringify({ joinid, client2: 'attacker' });
  const head = `host: x\r\nconnection: ${connection}\r\ncontent-type: application/json`;
  return `POST /api/rooms/accept HTTP/1.1\r\n${head}\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
};

/** Accepts codes over this many sockets, without waiting for answers. Resolves to the number of 404 answers. */
async function flood(url: string, sockets: number, count: number): Promise<number> {
  const failures = Array.from({ length: sockets }, async () => {
    const [last = '', ...others] = codes(count / sockets);
    const raw = new RawSocket(Number(new URL(url).port));
    await raw.write(
      Buffer.from(others.map((code) => accept(code)).join('') + accept(last, 'close')),
    );
    // The budget of the address lets the server take 20 seconds for all of them, and longer on a slow machine.
    await raw.until(undefined, 5 * 60_000);
    raw.destroy();
    const answers = raw.received.toString('latin1');
    expect(answers.match(/HTTP\/1\.1 \d/g)).toHaveLength(count / sockets);
    return answers.split('HTTP/1.1 404').length - 1;
  });
  return (await Promise.all(failures)).reduce((sum, each) => sum + each);
}

test('40 sockets × 500 pipelined accepts of one address test as many codes as sequential ones, over a whole hour', async () => {
  const { url, asked, clock } = await target();
  const end = clock.now() + HOUR * 1000;
  const told = await flood(url, 40, 20_000);
  expect([told, asked.accepts]).toEqual([AT_ONCE, AT_ONCE]);
  let greedy = AT_ONCE;
  let failures = AT_ONCE;
  for (;;) {
    const pause = waitAfter(failures, ACCEPT_GUESSES);
    if (clock.now() + pause * 1000 >= end) break;
    clock.advance(pause * 1000);
    const told = await flood(url, 4, 40);
    greedy += 1;
    failures = unforgiven(failures, pause, ACCEPT_GUESSES) + 1;
    expect([told, asked.accepts]).toEqual([1, greedy]);
  }
  expect(greedy).toBeLessThanOrEqual(mostGuesses(ACCEPT_GUESSES, RULES, HOUR));
  expect(guessing).toContain(`${AT_ONCE} at once, ${greedy} in an hour of bursts`);
}, 400_000);
