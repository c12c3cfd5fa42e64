// Prefer: wait=N on POST /api/rooms/check: docs/protocol.md §3. The test sets the time, in the year 2100.
import { call, createPending, someDevice } from '@couplet/testkit/api';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { serverForTest, serverUnderTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';

async function serverWithClock(env: Record<string, string> = {}) {
  const clock = new FakeClock();
  const server = await serverForTest(env, { clock });
  const idleTimers = clock.pending;
  return {
    ...server,
    clock,
    /** Resolves when exactly this many checks are held. */
    held: (count: number) => clock.reach(idleTimers + count),
    check: (pending: { joinid: string; client1: string }, wait: string | number) =>
      call(
        server.url,
        'POST',
        '/api/rooms/check',
        { joinid: pending.joinid, client1: pending.client1 },
        { prefer: typeof wait === 'number' ? `wait=${wait}` : wait },
      ),
    accept: (joinid: string, client2 = someDevice()) =>
      call(server.url, 'POST', '/api/rooms/accept', { joinid, client2 }),
  };
}

test('a check is held until the code is accepted, and returns the room', async () => {
  const { url, clock, held, check, accept } = await serverWithClock();
  const pending = await createPending(url);
  const answer = check(pending, 20);
  await held(1);
  clock.advance(19_999);
  const { roomid } = (await accept(pending.joinid)).body as { roomid: string };
  expect((await answer).status).toBe(200);
  expect((await answer).body).toStrictEqual({ roomid });
  expect((await answer).headers.get('preference-applied')).toBe('wait=20');
  await held(0);
});

test('an accepted code is returned at once', async () => {
  const { url, check, accept, held } = await serverWithClock();
  const pending = await createPending(url);
  await accept(pending.joinid);
  const answer = await check(pending, 30);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('preference-applied')).toBe('wait=30');
  await held(0);
});

test('a check is held for at most N seconds: 204', async () => {
  const { url, clock, held, check } = await serverWithClock();
  const answer = check(await createPending(url), 5);
  await held(1);
  clock.advance(4999);
  await held(1);
  clock.advance(1);
  expect((await answer).status).toBe(204);
  expect((await answer).body).toBeUndefined();
  expect((await answer).headers.get('preference-applied')).toBe('wait=5');
  await held(0);
});

test('a check is held until the code expires: 404', async () => {
  const { url, clock, held, check } = await serverWithClock();
  const answer = check(await createPending(url, { expiresInSeconds: 3 }), 30);
  await held(1);
  clock.advance(2999);
  await held(1);
  clock.advance(1);
  expect((await answer).status).toBe(404);
  expect((await answer).body).toStrictEqual({ error: 'not_found_or_expired' });
  await held(0);
});

test.each([31, 60, 4_000_000_000, '99999999999999999999999'])(
  'a wait of %s is reduced to 30 seconds, and the answer says so',
  async (seconds) => {
    const { url, clock, held, check } = await serverWithClock();
    const answer = check(await createPending(url), `wait=${seconds}`);
    await held(1);
    clock.advance(30_000);
    expect((await answer).status).toBe(204);
    expect((await answer).headers.get('preference-applied')).toBe('wait=30');
  },
);

test.each([
  'wait=7',
  'WAIT=7',
  'wait = 7',
  'wait="7"',
  'wait=007',
  'respond-async, wait=7',
  'wait=7, handling=lenient',
  'wait=7; foo=bar',
  'foo; bar=1 , wait=7',
  'wait=7, wait=9',
])('“%s” is supported', async (header) => {
  const { url, clock, held, check } = await serverWithClock();
  const answer = check(await createPending(url), header);
  await held(1);
  clock.advance(7000);
  expect((await answer).status).toBe(204);
  expect((await answer).headers.get('preference-applied')).toBe('wait=7');
});

test('of two Prefer headers, the one with a wait is used', async () => {
  const { url, clock, held } = await serverWithClock();
  const { joinid, client1 } = await createPending(url);
  const answer = fetch(`${url}/api/rooms/check`, {
    method: 'POST',
    headers: [
      ['content-type', 'application/json'],
      ['prefer', 'return=minimal'],
      ['prefer', 'wait=7'],
    ],
    body: JSON.stringify({ joinid, client1 }),
  });
  await held(1);
  clock.advance(7000);
  expect((await answer).headers.get('preference-applied')).toBe('wait=7');
});

test.each([
  'wait',
  'wait=',
  'wait=-5',
  'wait=1e3',
  'nowait=5',
  'x; wait=5',
  'wait=1.5',
  'wait=x',
  'await=5',
  'wait5',
  '',
])('“%s” is no wait: the answer comes at once, without Preference-Applied', async (header) => {
  const { url, check } = await serverWithClock();
  const answer = await check(await createPending(url), header);
  expect(answer.status).toBe(204);
  expect(answer.headers.get('preference-applied')).toBeNull();
});

test('wait=0 is a plain check', async () => {
  const { url, check } = await serverWithClock();
  const answer = await check(await createPending(url), 0);
  expect(answer.status).toBe(204);
  expect(answer.headers.get('preference-applied')).toBe('wait=0');
});

test('invalid requests and unknown codes are answered at once', async () => {
  const { url, check, held } = await serverWithClock();
  const { joinid } = await createPending(url);
  expect((await check({ joinid: '', client1: 'x' }, 30)).status).toBe(400);
  expect((await check({ joinid, client1: someDevice() }, 30)).status).toBe(404);
  await held(0);
});

test('an accept of another code has no effect', async () => {
  const { url, clock, held, check, accept } = await serverWithClock();
  const [mine, other] = [await createPending(url), await createPending(url)];
  const answer = check(mine, 10);
  await held(1);
  expect((await accept(other.joinid)).status).toBe(200);
  await held(1);
  clock.advance(10_000);
  expect((await answer).status).toBe(204);
});

test('of several held checks of one code one collects, and the others are 404', async () => {
  const { url, held, check, accept } = await serverWithClock();
  const pending = await createPending(url);
  const answers = Array.from({ length: 5 }, () => check(pending, 30));
  await held(5);
  await accept(pending.joinid);
  const statuses = (await Promise.all(answers)).map((answer) => answer.status);
  expect(statuses.sort()).toEqual([200, 404, 404, 404, 404]);
  await held(0);
});

test('a client that disconnects while it waits consumes nothing', async () => {
  const { url, held, check, accept } = await serverWithClock();
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
  const { roomid } = (await accept(joinid)).body as { roomid: string };
  expect((await check(pending, 0)).body).toStrictEqual({ roomid });
});

test('a held check continues after a renewal; after a shorter renewal, until the new expiry', async () => {
  const { url, clock, held, check } = await serverWithClock();
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
  expect((await answer).status).toBe(404);
});

test('a purge of the device wakes its held check: 404', async () => {
  const { url, held, check } = await serverWithClock();
  const pending = await createPending(url);
  const answer = check(pending, 30);
  await held(1);
  await call(url, 'POST', '/api/user/purge', { deviceId: pending.client1 });
  expect((await answer).status).toBe(404);
  await held(0);
});

test('beyond MAX_WAITING_CHECKS a check is answered at once', async () => {
  const { url, clock, held, check } = await serverWithClock({ MAX_WAITING_CHECKS: '2' });
  const pending = await createPending(url);
  const answers = [check(pending, 30), check(pending, 30)];
  await held(2);
  expect((await check(pending, 30)).status).toBe(204);
  clock.advance(30_000);
  for (const answer of answers) expect((await answer).status).toBe(204);
  const next = check(pending, 30);
  await held(1);
  clock.advance(30_000);
  expect((await next).status).toBe(204);
});

test('one code has at most eight held checks, and leaves the rest to others', async () => {
  const { url, clock, held, check } = await serverWithClock({ MAX_WAITING_CHECKS: '100' });
  const [one, other] = [await createPending(url), await createPending(url)];
  const answers = Array.from({ length: 8 }, () => check(one, 30));
  await held(8);
  expect((await check(one, 30)).status).toBe(204);
  answers.push(check(other, 30));
  await held(9);
  clock.advance(30_000);
  for (const answer of answers) expect((await answer).status).toBe(204);
});

test('on the real clock, an accept wakes a held check', async () => {
  const { url } = await serverUnderTest();
  const pending = await createPending(url);
  const body = { joinid: pending.joinid, client1: pending.client1 };
  const answer = call(url, 'POST', '/api/rooms/check', body, { prefer: 'wait=30' });
  const accepted = await call(url, 'POST', '/api/rooms/accept', {
    joinid: pending.joinid,
    client2: someDevice(),
  });
  expect((await answer).body).toStrictEqual({ roomid: accepted.body?.roomid });
  const later = Date.now();
  const other = await createPending(url, { expiresInSeconds: 1 });
  const expired = await call(
    url,
    'POST',
    '/api/rooms/check',
    { joinid: other.joinid, client1: other.client1 },
    { prefer: 'wait=30' },
  );
  expect(expired.status).toBe(404);
  expect(Date.now() - later).toBeGreaterThanOrEqual(990);
});
