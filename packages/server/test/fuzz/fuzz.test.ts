// Sends hostile input for a while: answers are as documented, nothing leaks, and a healthy pair is not affected.
import { randomInt } from 'node:crypto';
import { eventually } from '@couplet/testkit/eventually';
import { scrape } from '@couplet/testkit/prometheus';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { startFuzzedServer } from './fuzzed-server.js';
import { httpCases, judgeHttp } from './http.js';
import { judgeMessages, messageCases } from './messages.js';
import { hangUp, judgeRest, restCases } from './rest.js';

/** Seconds for all properties together. */
const FUZZ_SECONDS = Number(process.env.FUZZ_SECONDS || 10);
/** Repeats the same inputs. */
const FUZZ_SEED = Number(process.env.FUZZ_SEED || randomInt(2 ** 31));

/** Runs a property on new inputs until its share of the time is up, and on ten at least; returns their number. */
async function fuzz<T>(inputs: fc.Arbitrary<T>, share: number, holds: (input: T) => Promise<void>) {
  const end = performance.now() + FUZZ_SECONDS * share * 1000;
  let runs = 0;
  do {
    await fc.assert(fc.asyncProperty(inputs, holds), { seed: FUZZ_SEED + runs, numRuns: 10 });
    runs += 10;
  } while (performance.now() < end);
  return runs;
}

/** Enough addresses that none of them runs out of guesses. */
const ADDRESSES = 65_536;
let requests = 0;
const nextAddress = () => {
  const n = requests++ % ADDRESSES;
  return `10.1.${n >> 8}.${n & 255}`;
};

const server = await startFuzzedServer();
afterAll(() => server.stop());
const fresh = await warm();
const timeout = FUZZ_SECONDS * 1000 + 300_000;

const report = (line: string) => process.stdout.write(`fuzz: ${line}\n`);
report(`seed ${FUZZ_SEED}, ${FUZZ_SECONDS} s; FUZZ_SEED and FUZZ_SECONDS set others`);

/** Timers that a server may have in addition to a fresh one, for the connections of this test. */
const FEW = 10;

/** Caches fill: failed guesses per address, compiled code, labels of metrics. A leak of one input each is far larger. */
const MAX_GROWTH_MIB = 64;

/** The baseline, taken when every part has been used once. */
async function warm() {
  const warmUp = fc.sample(restCases, { numRuns: 20, seed: 1 }).flat();
  for (const one of warmUp) await judgeRest(server.url, one, nextAddress());
  hangUp();
  return server.measure();
}

test('every API request is answered as documented', { timeout }, async () => {
  const runs = await fuzz(restCases, 0.35, async (cases) => {
    await Promise.all(cases.map((one) => judgeRest(server.url, one, nextAddress())));
  });
  report(`REST: ${runs} batches`);
});

test('every message is answered, and forwarded unchanged or not at all', { timeout }, async () => {
  const runs = await fuzz(messageCases, 0.35, (cases) => judgeMessages(server.wsUrl, cases));
  report(`messages: ${runs} sequences`);
});

test('malformed HTTP gets a documented answer', { timeout }, async () => {
  const runs = await fuzz(httpCases, 0.3, (one) => judgeHttp(server.port, one));
  report(`HTTP: ${runs} connections`);
});

test('heap and handles return to the baseline', { timeout }, async () => {
  hangUp();
  // Sockets that were just reset or half-closed may still be closing.
  const since = performance.now();
  const settled = await eventually(async () => {
    const now = await server.measure();
    expect(now.handles.TCPSocketWrap ?? 0).toBeLessThanOrEqual(fresh.handles.TCPSocketWrap ?? 0);
    expect(now.handles.Timeout ?? 0).toBeLessThanOrEqual((fresh.handles.Timeout ?? 0) + FEW);
    return now;
  });
  const { value } = await scrape(server.url);
  expect(value('couplet_connections')).toBe(2);
  expect(value('couplet_live_rooms')).toBe(1);
  expect(value('couplet_waiting_checks')).toBe(0);
  report(`settled after ${Math.round(performance.now() - since)} ms`);
  const grownMiB = (settled.heapBytes - fresh.heapBytes) / 2 ** 20;
  report(`heap grew by ${grownMiB.toFixed(1)} MiB, handles ${JSON.stringify(settled.handles)}`);
  expect(grownMiB).toBeLessThan(MAX_GROWTH_MIB);
  const { exchanged, worstMs } = server.neighbors;
  report(`neighbors: ${exchanged} exchanges, the slowest ${worstMs().toFixed(1)} ms`);
  expect(exchanged).toBeGreaterThan(FUZZ_SECONDS);
});

test('the pair lost no message, and the server stayed alive and logged no error', async () => {
  await server.neighbors.stop();
  expect(await server.stop()).toEqual({ code: 0, complaints: '' });
});
