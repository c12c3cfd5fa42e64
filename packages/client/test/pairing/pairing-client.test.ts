// Tests the REST client: retries, delays and idempotency keys.

import { eventually } from '@couplet/testkit/eventually';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { expect, test } from 'vitest';
import type { Clock } from '../../src/clock.js';
import { PairingClient, retryAfterSecondsOf } from '../../src/pairing/pairing-client.js';

type Step = Response | Error | 'never';

const json = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  new Response(body === null ? null : JSON.stringify(body), { status, headers });

/** A client whose server gives scripted answers, repeating the last one, and whose delays end at once. */
function scripted(steps: Step[], bound = 1) {
  const requests: { path: string; key: string; prefer: string | null }[] = [];
  const delays: number[] = [];
  let pending = 0;
  const clock: Clock = {
    monotonic: () => 0,
    after(delayMs, callback) {
      pending += 1;
      const timeLimit = delayMs === 15_000 || delayMs === 40_000;
      if (!timeLimit) delays.push(delayMs);
      const current = steps[Math.min(requests.length, steps.length - 1)];
      let done = false;
      const end = () => {
        if (!done) pending -= 1;
        done = true;
      };
      if (!timeLimit || current === 'never') {
        setImmediate(() => {
          if (done) return;
          end();
          callback();
        });
      }
      return end;
    },
  };
  const fetch = (url: string, { headers, signal }: RequestInit) => {
    const sent = new Headers(headers);
    const step = steps[Math.min(requests.length, steps.length - 1)];
    requests.push({
      path: new URL(url).pathname,
      key: sent.get('Idempotency-Key') ?? '',
      prefer: sent.get('Prefer'),
    });
    if (step === 'never') return unanswered(signal);
    if (step instanceof Response) return Promise.resolve(step.clone() as Response);
    return Promise.reject(step);
  };
  const client = new PairingClient({ url: 'http://server', fetch, clock, random: () => bound });
  return { client, requests, delays, pending: () => pending };
}

const lost = new TypeError('fetch failed');

test.each<[string, Step]>([
  ['a lost answer', lost],
  ['no answer in time', 'never'],
  ['500', json(500, { error: 'internal_error' })],
  ['502 with a page of a proxy', new Response('<html>', { status: 502 })],
  ['503', json(503, { error: 'unavailable' })],
  ['408', json(408, { error: 'request_timeout' })],
  ['the first request still in progress', json(409, { error: 'request_in_progress' })],
])('after %s the request is sent again under the same key', async (_name, step) => {
  const { client, requests, delays, pending } = scripted([step, step, json(200, { roomid: 'r' })]);
  expect(await client.accept('042137', 'device')).toEqual({ roomId: 'r' });
  expect(requests).toHaveLength(3);
  expect(new Set(requests.map(({ key }) => key)).size).toBe(1);
  expect(requests[0]?.key).toMatch(/^\d{39}$/);
  expect(delays).toEqual([500, 1000]);
  expect(pending()).toBe(0);
});

test('the client waits for Retry-After plus jitter', async () => {
  const throttled = json(429, { error: 'rate_limited' }, { 'Retry-After': '3' });
  const { client, delays } = scripted([throttled, json(200, { roomid: 'r' })], 0.5);
  await client.accept('042137', 'device');
  expect(delays).toEqual([3250]);
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

test('a long Retry-After fails at once with its time', async () => {
  const throttled = json(429, { error: 'rate_limited' }, { 'Retry-After': '600' });
  const { client, requests } = scripted([throttled]);
  await expect(client.accept('042137', 'device')).rejects.toMatchObject({
    code: 'rate_limited',
    retryAfterSeconds: 600,
  });
  expect(requests).toHaveLength(1);
});

test('repeated rate limits take half a minute in total, not each', async () => {
  const throttled = json(429, { error: 'rate_limited' }, { 'Retry-After': '12' });
  const { client, requests, delays } = scripted([throttled], 0);
  await expect(client.accept('042137', 'device')).rejects.toMatchObject({
    code: 'rate_limited',
    retryAfterSeconds: 12,
  });
  expect(requests).toHaveLength(3);
  expect(delays).toEqual([12_000, 12_000]);
});

test('an unreachable server fails after six attempts; a check keeps waiting', async () => {
  const away = scripted([lost]);
  await expect(away.client.accept('042137', 'device')).rejects.toMatchObject({
    code: 'network',
    cause: lost,
  });
  expect(away.requests).toHaveLength(6);
  const back = scripted([...Array<Step>(20).fill(lost), json(200, { roomid: 'r' })]);
  expect(await back.client.check('042137', 'device', 60_000)).toBe('r');
});

test.each([
  [404, 'not_found_or_expired'],
  [409, 'conflict'],
  [400, 'invalid_joinid'],
])('%i %s is final', async (status, code) => {
  const { client, requests } = scripted([json(status, { error: code })]);
  await expect(client.accept('042137', 'device')).rejects.toMatchObject({ code });
  expect(requests).toHaveLength(1);
  // No server answers a check like this.
  if (code === 'conflict') return;
  await expect(client.check('042137', 'device', 60_000)).rejects.toMatchObject({ code });
  expect(requests).toHaveLength(2);
});

/** A client with a stopped clock that sends checks; the test answers each one. */
function checking() {
  const clock = new FakeClock();
  const asked: { headers: Headers; answer: (response: Response) => void }[] = [];
  const fetch = (_url: string, { headers }: RequestInit) =>
    new Promise<Response>((answer) => asked.push({ headers: new Headers(headers), answer }));
  const client = new PairingClient({ url: 'http://server', fetch, clock });
  const checked = client.check('042137', 'device', clock.monotonic() + 60_000);
  return { clock, asked, checked };
}

test('a check is held by the server, and each request has its own key', async () => {
  const { clock, asked, checked } = checking();
  clock.advance(25_000);
  asked[0]?.answer(json(204, null));
  await eventually(() => expect(asked).toHaveLength(2));
  asked[1]?.answer(json(200, { roomid: 'r' }));
  expect(await checked).toBe('r');
  expect(asked.map(({ headers }) => headers.get('Prefer'))).toEqual(['wait=25', 'wait=25']);
  expect(new Set(asked.map(({ headers }) => headers.get('Idempotency-Key'))).size).toBe(2);
  expect(clock.pending).toBe(0);
});

test('a server that does not hold checks gets one every two seconds', async () => {
  const { clock, asked, checked } = checking();
  for (const count of [1, 2, 3]) {
    expect(asked).toHaveLength(count);
    asked[count - 1]?.answer(json(204, null));
    // The time limit is cleared, and the pause has begun.
    await clock.reach(1);
    clock.advance(1999);
    expect(asked).toHaveLength(count);
    clock.advance(1);
    await eventually(() => expect(asked).toHaveLength(count + 1));
  }
  asked[3]?.answer(json(200, { roomid: 'r' }));
  expect(await checked).toBe('r');
  expect(clock.pending).toBe(0);
});

test.each([
  ['is answered', undefined],
  ['is retried', json(503, { error: 'unavailable' })],
  ['is sent again', json(204, null)],
])('a check that waits until it %s is aborted at once', async (_when, answer) => {
  const abort = new AbortController();
  const reason = new Error('enough');
  let pending = 0;
  const clock: Clock = {
    monotonic: () => 0,
    after(delayMs) {
      pending += 1;
      // The request was sent, or it was answered and the pause has begun.
      if (!answer || delayMs < 15_000) queueMicrotask(() => abort.abort(reason));
      return () => void pending--;
    },
  };
  const fetch = async (_url: string, { signal }: RequestInit) =>
    (answer?.clone() as Response | undefined) ?? unanswered(signal);
  const client = new PairingClient({ url: 'http://server', fetch, clock });
  const checked = client.check('042137', 'device', 60_000, abort.signal);
  await expect(checked).rejects.toMatchObject({ code: 'aborted', cause: reason });
  expect(pending).toBe(0);
});

const foreign: [string, Response][] = [
  ['404 of a proxy', new Response('404 page not found\n', { status: 404 })],
  ['a login page', new Response('<html>Welcome</html>')],
  ['401 with a page', new Response('<html>Log in</html>', { status: 401 })],
  ['403 with a page', new Response('<html>Just a moment</html>', { status: 403 })],
  ['a redirect that is not followed', new Response(null, { status: 302 })],
  ['half a JSON object', new Response('{"roomid":"ab')],
  ['JSON of something else', json(200, { roomid: 7 })],
  ['an error of something else', json(404, { error: 'no_route' })],
  ['Couplet without this route', json(404, { error: 'not_found' })],
  ['an access gateway', json(401, { error: 'unauthorized' })],
];

test.each(foreign)(
  '%s does not end a held check, and two of them do not end an accept',
  async (name, answer) => {
    const { client, requests } = scripted([...Array(9).fill(answer), json(200, { roomid: 'r' })]);
    expect(await client.check('042137', 'device', 60_000)).toBe('r');
    expect(requests).toHaveLength(10);
    if (name === 'Couplet without this route' || name === 'an access gateway') return;
    const twice = scripted([answer, answer, json(200, { roomid: 'r' })]);
    expect(await twice.client.accept('042137', 'device')).toEqual({ roomId: 'r' });
  },
);

/** Waits for a code that expires in two seconds, on a clock that the test moves. */
function late(answer: (held: RequestInit['signal']) => Promise<Response>) {
  const clock = new FakeClock();
  const startMs = clock.monotonic();
  const fetch = (_url: string, { signal }: RequestInit) => answer(signal);
  const client = new PairingClient({ url: 'http://server', fetch, clock, random: () => 1 });
  const ended = client.check('042137', 'device', startMs + 2000).then(
    (roomId) => ({ roomId, afterMs: clock.monotonic() - startMs }),
    ({ code }) => ({ code, afterMs: clock.monotonic() - startMs }),
  );
  /** Advances the clock until the wait has ended. */
  const run = async () => {
    let outcome: { roomId?: string; code?: string; afterMs: number } | undefined;
    void ended.then((it) => {
      outcome = it;
    });
    for (let steps = 0; outcome === undefined && steps < 1200; steps++) {
      clock.advance(100);
      await new Promise(setImmediate);
    }
    return outcome;
  };
  return { clock, run };
}

/** A request without an answer, until it is aborted. */
const unanswered = (signal: RequestInit['signal']) =>
  new Promise<Response>((_, reject) => {
    signal?.addEventListener('abort', () => reject(new Error('aborted')));
  });

test.each<[string, (signal: RequestInit['signal']) => Promise<Response>, string]>([
  ['refuses connections', () => Promise.reject(lost), 'network'],
  ['does not answer', unanswered, 'network'],
  [
    'is a proxy without a server',
    async () => new Response('<html>', { status: 502 }),
    'unexpected_answer',
  ],
  ['is a login page', async () => new Response('<html>'), 'unexpected_answer'],
  ['answers 204 to everything', async () => json(204, null), 'unexpected_answer'],
  [
    'limits the rate for an hour',
    async () => json(429, { error: 'rate_limited' }, { 'Retry-After': '3600' }),
    'rate_limited',
  ],
])('a wait ends within 30 s after the code if the server %s', async (_name, answer, code) => {
  const { clock, run } = late(answer);
  const outcome = await run();
  expect(outcome?.code).toBe(code);
  expect(outcome?.afterMs).toBeLessThanOrEqual(32_000);
  if (code !== 'rate_limited') expect(outcome?.afterMs).toBeGreaterThanOrEqual(22_000);
  expect(clock.pending).toBe(0);
});

test('an accept in the last second is found after an outage of 20 s', async () => {
  let asked = 0;
  let back = false;
  const { clock, run } = late(async () => {
    asked += 1;
    if (back) return json(200, { roomid: 'r' });
    throw lost;
  });
  clock.after(21_000, () => {
    back = true;
  });
  expect((await run())?.roomId).toBe('r');
  expect(asked).toBeGreaterThan(5);
});

test('a device that was asleep when its code expired retries several times', async () => {
  let asked = 0;
  const { clock, run } = late(async (signal) => {
    asked += 1;
    if (asked === 1) return unanswered(signal);
    if (asked < 4) throw lost;
    return json(200, { roomid: 'r' });
  });
  clock.pause(600_000);
  expect((await run())?.roomId).toBe('r');
});

test('a success outside of the protocol is unexpected_answer', async () => {
  const calls = [
    (client: PairingClient) => client.create('042137', 60, 'device'),
    (client: PairingClient) => client.accept('042137', 'device'),
  ];
  for (const call of calls) {
    const { client, requests } = scripted([new Response('<html>')]);
    await expect(call(client)).rejects.toMatchObject({ code: 'unexpected_answer' });
    expect(requests).toHaveLength(3);
  }
});
