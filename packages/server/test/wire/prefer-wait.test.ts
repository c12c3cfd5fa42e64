// Prefer: wait=N on POST /api/rooms/check: docs/protocol.md §3. The test sets the time, in the year 2100.
import { call, createPending, roomsApi, someDevice } from '@couplet/testkit/api';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { serverUnderTest, startServer } from '@couplet/testkit/server';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { rawRequest, request } from '../support/raw-http.js';

async function serverWithClock(env: Record<string, string> = {}) {
  const clock = new FakeClock();
  const server = await startServer(env, { clock });
  const idleTimers = clock.pending;
  return {
    ...server,
    clock,
    /** Resolves when exactly this many checks are held. */
    held: (count: number) => clock.reach(idleTimers + count),
    check: ({ joinid, client1 }: { joinid: string; client1: string }, seconds: number) =>
      roomsApi(server.url).check({ joinid, client1 }, { prefer: `wait=${seconds}` }),
    accept: async (joinid: string) =>
      (await roomsApi(server.url).accept({ joinid, client2: someDevice() })).body,
  };
}

const { url, close, clock, held, check, accept } = await serverWithClock();
afterAll(close);

test('a check is held until the code is accepted, and returns the room; later it is returned at once', async () => {
  for (const isHeld of [true, false]) {
    const pending = await createPending(url);
    const answer = isHeld ? check(pending, 20) : undefined;
    if (isHeld) {
      await held(1);
      clock.advance(19_999);
    }
    const { roomid } = (await accept(pending.joinid)) ?? {};
    const { status, body, headers } = await (answer ?? check(pending, 20));
    expect([status, body, headers.get('preference-applied')]).toEqual([200, { roomid }, 'wait=20']);
    await held(0);
  }
});

/** Preferences, and the seconds after which the answer comes; null: at once, and the preference is not applied. */
const PREFERENCES: [string, number | null][] = [
  ['wait=0', 0],
  ['wait=5', 5],
  ['wait=31 | wait=60 | wait=4000000000 | wait=99999999999999999999999', 30],
  ['WAIT=7 | wait = 7 | wait="7" | wait=007 | respond-async, wait=7 | wait=7, handling=lenient', 7],
  ['wait=7; foo=bar | foo; bar=1 , wait=7 | wait=7, wait=9 | return=minimal\r\nprefer: wait=7', 7],
  ['wait | wait= | wait=-5 | wait=1e3 | nowait=5 | x; wait=5 | wait=1.5 | wait=x | await=5', null],
  ['wait5 | ', null],
];

test.each(
  PREFERENCES.flatMap(([texts, seconds]) =>
    texts.split(' | ').map((text) => [text, seconds] as const),
  ),
)(
  'a check with “%s” of a code that is not accepted is 204 after %s seconds',
  async (prefer, seconds) => {
    const { joinid, client1 } = await createPending(url);
    const body = JSON.stringify({ joinid, client1 });
    const answer = rawRequest(url, request('POST /api/rooms/check', { prefer }, body));
    if (seconds) {
      await held(1);
      clock.advance(seconds * 1000 - 1);
      await held(1);
      clock.advance(1);
    }
    const { status, headers } = await answer;
    const applied = seconds === null ? undefined : `wait=${seconds}`;
    expect([status, headers.get('preference-applied')]).toEqual([204, applied]);
    await held(0);
  },
);

test('invalid requests and unknown codes are answered at once', async () => {
  const { joinid } = await createPending(url);
  expect((await check({ joinid: '', client1: 'x' }, 30)).status).toBe(400);
  expect((await check({ joinid, client1: someDevice() }, 30)).status).toBe(404);
  await held(0);
});

test('of several held checks of one code one collects, and the others are 404; another code is not affected', async () => {
  const [pending, other] = [await createPending(url), await createPending(url)];
  const answers = Array.from({ length: 5 }, () => check(pending, 30));
  const unaffected = check(other, 10);
  await held(6);
  await accept(pending.joinid);
  const statuses = (await Promise.all(answers)).map((answer) => answer.status);
  expect(statuses.sort()).toEqual([200, 404, 404, 404, 404]);
  await held(1);
  clock.advance(10_000);
  expect((await unaffected).status).toBe(204);
});

test('a client that disconnects while it waits consumes nothing', async () => {
  const pending = await createPending(url);
  const { joinid, client1 } = pending;
  const hangUp = new AbortController();
  const headers = { prefer: 'wait=30' };
  const body = { joinid, client1 };
  const lost = call(url, 'POST', '/api/rooms/check', body, headers, hangUp.signal);
  await held(1);
  hangUp.abort();
  await expect(lost).rejects.toThrow();
  await held(0);
  const { roomid } = (await accept(joinid)) ?? {};
  expect((await check(pending, 0)).body).toStrictEqual({ roomid });
});

test('a held check continues after a renewal; after a shorter renewal, until the new expiry', async () => {
  const pending = await createPending(url, { expiresInSeconds: 10 });
  const answer = check(pending, 30);
  await held(1);
  clock.advance(9000);
  await createPending(url, { ...pending, expiresInSeconds: 15 });
  await held(1);
  clock.advance(14_999);
  await held(1);
  await createPending(url, { ...pending, expiresInSeconds: 2 });
  await held(1);
  clock.advance(2000);
  expect((await answer).body).toStrictEqual({ error: 'not_found_or_expired' });
});

test.each(['purge', 'cancel'] as const)(
  'a %s of the code wakes its held check: 404',
  async (how) => {
    const pending = await createPending(url);
    const { joinid, client1 } = pending;
    const answer = check(pending, 30);
    await held(1);
    await roomsApi(url)[how](how === 'purge' ? { deviceId: client1 } : { joinid, client1 });
    expect((await answer).body).toStrictEqual({ error: 'not_found_or_expired' });
    await held(0);
  },
);

test.each([
  ['MAX_WAITING_CHECKS', '2', 2],
  ['eight for one code', '100', 8],
])('beyond %s, a check is answered at once', async (_name, MAX_WAITING_CHECKS, count) => {
  const { url, close, clock, held, check } = await serverWithClock({ MAX_WAITING_CHECKS });
  onTestFinished(close);
  const [pending, other] = [await createPending(url), await createPending(url)];
  const answers = Array.from({ length: count }, () => check(pending, 30));
  await held(count);
  expect((await check(pending, 30)).status).toBe(204);
  // Other codes have the places that remain.
  if (count === 8) answers.push(check(other, 30));
  await held(answers.length);
  clock.advance(30_000);
  for (const answer of answers) expect((await answer).status).toBe(204);
  const next = check(pending, 30);
  await held(1);
  clock.advance(30_000);
  expect((await next).status).toBe(204);
});

test('on the real clock, an accept or the expiry wakes a held check', async () => {
  const { url } = await serverUnderTest();
  const api = roomsApi(url);
  const hold = ({ joinid, client1 }: { joinid: string; client1: string }) =>
    api.check({ joinid, client1 }, { prefer: 'wait=30' });
  const pending = await createPending(url);
  const answer = hold(pending);
  const accepted = await api.accept({ joinid: pending.joinid, client2: someDevice() });
  expect((await answer).body).toStrictEqual({ roomid: accepted.body?.roomid });
  const start = Date.now();
  expect((await hold(await createPending(url, { expiresInSeconds: 1 }))).status).toBe(404);
  expect(Date.now() - start).toBeGreaterThanOrEqual(990);
});
