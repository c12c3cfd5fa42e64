// Tests the REST client: retries, delays and idempotency keys, on a clock that each test moves.
import { FakeClock } from '@couplet/testkit/fake-clock';
import { expect, test } from 'vitest';
import type { CoupletError } from '../../src/errors.js';
import { PairingClient, retryAfterSecondsOf } from '../../src/pairing/pairing-client.js';

/** An answer, no answer, or what the server does until it answers. */
type Step = Response | Error | 'never' | ((server: FakeClock) => Promise<Response>);

const json = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  new Response(body === null ? null : JSON.stringify(body), { status, headers });
const page = (status: number) => new Response('<html>', { status });
const throttled = (seconds: number) =>
  json(429, { error: 'rate_limited' }, { 'Retry-After': String(seconds) });
const accepted = json(200, { roomid: 'r' });
const notYet = json(204, null);
const unavailable = json(503, { error: 'unavailable' });
const lost = new TypeError('fetch failed');

const calls = {
  create: (client: PairingClient) => client.create('042137', 60, 'device'),
  accept: (client: PairingClient) => client.accept('042137', 'device'),
};

interface Options {
  /** The part of the longest delay that is waited. None by default. */
  random?: number;
  /** The time at which the call is aborted. */
  abortMs?: number;
  /** The device sleeps for this long when its first request is sent. */
  asleepMs?: number;
}

/** Makes a call on a server that gives these answers, repeating the last one. Resolves once the call has ended. */
async function run(
  call: (client: PairingClient, signal: AbortSignal) => Promise<unknown>,
  steps: Step[],
  { random = 0, abortMs, asleepMs }: Options = {},
) {
  const clock = new FakeClock(0);
  const abort = new AbortController();
  const requests: { atMs: number; key: string; prefer: string | null }[] = [];
  const fetch = async (_url: string, { headers, signal }: RequestInit): Promise<Response> => {
    const sent = new Headers(headers);
    const step = steps[Math.min(requests.length, steps.length - 1)] as Step;
    const key = sent.get('Idempotency-Key') ?? '';
    requests.push({ atMs: clock.monotonic(), key, prefer: sent.get('Prefer') });
    if (step instanceof Response) return step.clone() as Response;
    if (step instanceof Error) throw step;
    if (step !== 'never') return (await step(clock)).clone() as Response;
    return new Promise((_, reject) => {
      signal?.addEventListener('abort', () => reject(new Error('aborted')));
    });
  };
  const client = new PairingClient({ url: 'http://server', fetch, clock, random: () => random });
  let outcome: { result?: unknown; error?: CoupletError } | undefined;
  call(client, abort.signal).then(
    (result) => {
      outcome = { result };
    },
    (error) => {
      outcome = { error };
    },
  );
  if (asleepMs) clock.pause(asleepMs);
  for (let step = 0; step < 20_000; step++) {
    await new Promise(setImmediate);
    if (outcome) break;
    if (clock.monotonic() === abortMs) abort.abort('enough');
    else clock.advance(50);
  }
  expect(clock.pending).toBe(0);
  const times = requests.map(({ atMs }) => atMs);
  return { ...outcome, code: outcome?.error?.code, endedMs: clock.monotonic(), requests, times };
}

/** Waits for a code that expires at this time. */
const check = (steps: Step[], expiresMs = 600_000, options: Options = {}) =>
  run((client, signal) => client.check('042137', 'device', expiresMs, signal), steps, options);

test.each<[string, Step, number[]]>([
  ['a lost answer', lost, [0, 500, 1500]],
  ['no answer in time', 'never', [0, 15_500, 31_500]],
  ['500', json(500, { error: 'internal_error' }), [0, 500, 1500]],
  ['502 with a page of a proxy', page(502), [0, 500, 1500]],
  ['503', unavailable, [0, 500, 1500]],
  ['408', json(408, { error: 'request_timeout' }), [0, 500, 1500]],
  [
    'the first request still in progress',
    json(409, { error: 'request_in_progress' }),
    [0, 500, 1500],
  ],
])('after %s the request is sent again under the same key', async (_name, step, expected) => {
  const { result, requests, times } = await run(calls.accept, [step, step, accepted], {
    random: 1,
  });
  expect({ result, times }).toEqual({ result: { roomId: 'r' }, times: expected });
  expect(new Set(requests.map(({ key }) => key)).size).toBe(1);
  expect(requests[0]?.key).toMatch(/^\d{39}$/);
});

const unexpected = { code: 'unexpected_answer', times: [0, 500, 1500] };
const limited = (retryAfterSeconds: number) => ({
  ...{ code: 'rate_limited', error: { retryAfterSeconds } },
});

test.each<[string, keyof typeof calls, number, Step[], object]>([
  ['after Retry-After plus jitter', 'accept', 0.5, [throttled(3), accepted], { times: [0, 3250] }],
  ['once if Retry-After is long', 'accept', 0, [throttled(600)], { ...limited(600), times: [0] }],
  [
    'for half a minute in total, not for each rate limit',
    'accept',
    0,
    [throttled(12)],
    { ...limited(12), times: [0, 12_000, 24_000] },
  ],
  [
    'six times, each after twice the time, if the server cannot be reached',
    'accept',
    1,
    [lost],
    { code: 'network', error: { cause: lost }, times: [0, 500, 1500, 3500, 7500, 15_500] },
  ],
  ['three times after a page', 'create', 1, [page(200)], unexpected],
  ['three times after a page', 'accept', 1, [page(200)], unexpected],
  ['three times after 200 with an error', 'accept', 1, [json(200, { error: 'login' })], unexpected],
])('a request is sent %s (%s)', async (_when, name, random, steps, expected) => {
  expect(await run(calls[name], steps, { random })).toMatchObject(expected);
});

test.each([
  [null, undefined],
  ['', undefined],
  ['soon', undefined],
  ['0', 0],
  ['-1', undefined],
  ['120', 120],
  ['Tue, 01 Jan 2030 00:02:00 GMT', undefined],
])('Retry-After: %j is %j seconds', (header, seconds) => {
  expect(retryAfterSecondsOf(header)).toBe(seconds);
});

test.each([
  [404, 'not_found_or_expired'],
  [409, 'conflict'],
  [400, 'invalid_joinid'],
])('%i %s is final', async (status, code) => {
  const answer = json(status, { error: code });
  expect(await run(calls.accept, [answer])).toMatchObject({ code, times: [0] });
  // No server answers a check with a conflict.
  if (code !== 'conflict') expect(await check([answer])).toMatchObject({ code, times: [0] });
});

test('a check is held by the server, each request has its own key, and outages do not end it', async () => {
  const held = async (server: FakeClock) => {
    await new Promise<void>((resolve) => void server.after(25_000, resolve));
    return notYet;
  };
  const { result, requests } = await check([held, held, accepted]);
  expect(result).toBe('r');
  expect(requests.map(({ atMs, prefer }) => [atMs, prefer])).toEqual(
    [0, 25_000, 50_000].map((atMs) => [atMs, 'wait=25']),
  );
  expect(new Set(requests.map(({ key }) => key)).size).toBe(3);
  const { times, ...back } = await check([...Array(12).fill(lost), accepted], 600_000, {
    random: 1,
  });
  expect([back.result, times.length]).toEqual(['r', 13]);
  // The delay stops growing.
  expect(Number(times.at(-1)) - Number(times.at(-2))).toBe(30_000);
});

test('a server that does not hold checks gets one every two seconds', async () => {
  const { result, times } = await check([notYet, notYet, notYet, accepted]);
  expect({ result, times }).toEqual({ result: 'r', times: [0, 2000, 4000, 6000] });
});

test.each<[string, Step]>([
  ['is answered', 'never'],
  ['is retried', unavailable],
  ['is sent again', notYet],
])('a check that waits until it %s is aborted at once', async (_when, step) => {
  const { code, error, times, endedMs } = await check([step], 60_000, { random: 1, abortMs: 100 });
  expect({ code, cause: error?.cause, times, endedMs }).toEqual({
    ...{ code: 'aborted', cause: 'enough', times: [0], endedMs: 100 },
  });
});

test.each<[string, Response]>([
  ['404 of a proxy', new Response('404 page not found\n', { status: 404 })],
  ['a login page', page(200)],
  ['401 with a page', page(401)],
  ['403 with a page', page(403)],
  ['a redirect that is not followed', new Response(null, { status: 302 })],
  ['half a JSON object', new Response('{"roomid":"ab')],
  ['JSON of something else', json(200, { roomid: 7 })],
  ['an error of something else', json(404, { error: 'no_route' })],
  ['Couplet without this route', json(404, { error: 'not_found' })],
  ['an access gateway', json(401, { error: 'unauthorized' })],
])('%s does not end a held check, and two of them do not end an accept', async (name, answer) => {
  expect(await check([...Array(9).fill(answer), accepted])).toMatchObject({ result: 'r' });
  if (name === 'Couplet without this route' || name === 'an access gateway') return;
  const twice = await run(calls.accept, [answer, answer, accepted]);
  expect(twice.result).toEqual({ roomId: 'r' });
});

test.each<[string, Step, string]>([
  ['refuses connections', lost, 'network'],
  ['does not answer', 'never', 'network'],
  ['is a proxy without a server', page(502), 'unexpected_answer'],
  ['is a login page', page(200), 'unexpected_answer'],
  ['answers 204 to everything', notYet, 'unexpected_answer'],
  ['limits the rate for an hour', throttled(3600), 'rate_limited'],
])('a wait ends within 30 s after the code if the server %s', async (_name, step, expected) => {
  const { code, endedMs } = await check([step], 2000, { random: 1 });
  expect(code).toBe(expected);
  expect(endedMs).toBeLessThanOrEqual(32_000);
  if (code !== 'rate_limited') expect(endedMs).toBeGreaterThanOrEqual(22_000);
});

test('an accept in the last second is found after an outage of 20 s', async () => {
  const back = async (server: FakeClock) => {
    if (server.monotonic() < 21_000) throw lost;
    return accepted;
  };
  const { result, times } = await check([back], 2000, { random: 1 });
  expect(result).toBe('r');
  expect(times.length).toBeGreaterThan(5);
});

test('a device that was asleep when its code expired retries several times', async () => {
  const steps = ['never', lost, lost, accepted] as const;
  const { result } = await check([...steps], 2000, { random: 1, asleepMs: 600_000 });
  expect(result).toBe('r');
});
