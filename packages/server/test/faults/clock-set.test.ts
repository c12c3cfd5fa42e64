// The wall clock is set forward or back by an hour: contract §1 (lifetimes of codes) with a corrected clock.
// The test uses a fake clock. Heartbeat and rate limits use timers, which the wall clock does not affect.

import { call, createPending, pairDevices, someCode, someDevice } from '@couplet/testkit/api';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { Peer, pairOfPeers } from '@couplet/testkit/peer';
import { startServer } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';

const HOUR_MS = 3_600_000;
const BOTH = [
  ['backwards', -HOUR_MS],
  ['forwards', HOUR_MS],
] as const;

async function serverWithClock(env: Record<string, string> = {}) {
  const clock = new FakeClock();
  const server = await startServer(env, { clock });
  onTestFinished(() => server.close());
  const idleTimers = clock.pending;
  return { ...server, clock, held: (count: number) => clock.reach(idleTimers + count) };
}

type Pending = { joinid: string; client1: string };
const check = (url: string, { joinid, client1 }: Pending, headers: Record<string, string> = {}) =>
  call(url, 'POST', '/api/rooms/check', { joinid, client1 }, headers);
const accept = (url: string, joinid: string, headers: Record<string, string> = {}) =>
  call(url, 'POST', '/api/rooms/accept', { joinid, client2: someDevice() }, headers);

test.each(BOTH)(
  'a check held while the clock is set %s is answered within its wait',
  async (_how, byMs) => {
    const { url, clock, held } = await serverWithClock();
    const pending = await createPending(url, { expiresInSeconds: 86_400 });
    const answer = check(url, pending, { prefer: 'wait=30' });
    await held(1);
    clock.set(byMs);
    clock.advance(30_000);
    expect((await answer).status).toBe(204);
    await held(0);
  },
);

test.each(BOTH)(
  'a check held while the clock is set %s is still woken by an accept',
  async (_how, byMs) => {
    const { url, clock, held } = await serverWithClock();
    const pending = await createPending(url, { expiresInSeconds: 86_400 });
    const answer = check(url, pending, { prefer: 'wait=30' });
    await held(1);
    clock.set(byMs);
    const { body } = await accept(url, pending.joinid);
    expect((await answer).body).toStrictEqual({ roomid: body?.roomid });
  },
);

test('a held check that is woken after the clock was set back waits at most once more for its requested time', async () => {
  const { url, clock, held } = await serverWithClock();
  const pending = await createPending(url, { expiresInSeconds: 86_400 });
  const answer = check(url, pending, { prefer: 'wait=30' });
  await held(1);
  clock.advance(20_000);
  clock.set(-HOUR_MS);
  // Renewing the code wakes the check, which finds the code still pending.
  await createPending(url, { ...pending, expiresInSeconds: 86_400 });
  await held(1);
  clock.advance(30_000);
  expect((await answer).status).toBe(204);
});

test('a code expires at its exp by the current clock: an hour back prolongs it, and an hour forward ends it', async () => {
  const { url, clock } = await serverWithClock();
  const [stays, ends] = [await createPending(url), await createPending(url)];
  clock.set(-HOUR_MS);
  clock.advance(HOUR_MS + 299_999);
  expect((await check(url, stays)).status).toBe(204);
  clock.advance(1);
  expect((await check(url, stays)).status).toBe(404);
  clock.set(-HOUR_MS);
  const again = await createPending(url, { joinid: ends.joinid });
  clock.set(HOUR_MS);
  expect((await check(url, again)).status).toBe(404);
  expect((await accept(url, again.joinid)).status).toBe(404);
});

test('a code created after the clock was set back has the requested lifetime and a matching exp', async () => {
  const { url, clock } = await serverWithClock();
  clock.set(-HOUR_MS);
  const pending = await createPending(url, { expiresInSeconds: 60 });
  expect(Date.parse(pending.exp)).toBe(clock.now() + 60_000);
  clock.advance(60_000);
  expect((await check(url, pending)).status).toBe(404);
});

test.each(BOTH)(
  'rooms remain when the clock is set %s, with and without ROOM_IDLE_DAYS',
  async (_how, byMs) => {
    for (const env of [{}, { ROOM_IDLE_DAYS: '1' }]) {
      const { url, clock } = await serverWithClock(env);
      const { roomid } = await pairDevices(url);
      clock.set(byMs);
      // The sweep runs every minute.
      clock.advance(120_000);
      expect((await call(url, 'GET', `/api/rooms?roomid=${roomid}`)).status).toBe(200);
    }
  },
);

test('the count of failed guesses restarts at zero when the clock is set to another minute', async () => {
  for (const [, byMs] of BOTH) {
    const { url, clock } = await serverWithClock({ MAX_FAILED_GUESSES_PER_MINUTE: '1' });
    expect((await accept(url, someCode())).status).toBe(404);
    expect((await accept(url, someCode())).status).toBe(429);
    clock.set(byMs);
    expect((await accept(url, someCode())).status).toBe(404);
  }
});

test('an Idempotency-Key repeated within ten minutes by the clock gets the first answer, and an hour back prolongs that time', async () => {
  const { url, clock } = await serverWithClock();
  const { joinid } = await createPending(url);
  const body = { joinid, client2: someDevice() };
  const repeat = () => call(url, 'POST', '/api/rooms/accept', body, { 'idempotency-key': 'k' });
  const first = await repeat();
  clock.set(-HOUR_MS);
  clock.advance(HOUR_MS + 599_999);
  expect((await repeat()).body).toStrictEqual(first.body);
});

test('an hour forward removes an Idempotency-Key early, and a repeated accept cannot succeed twice', async () => {
  const { url, clock } = await serverWithClock();
  const { joinid } = await createPending(url, { expiresInSeconds: 86_400 });
  const body = { joinid, client2: someDevice() };
  const repeat = () => call(url, 'POST', '/api/rooms/accept', body, { 'idempotency-key': 'k' });
  expect((await repeat()).status).toBe(200);
  clock.set(HOUR_MS);
  expect((await repeat()).status).toBe(409);
});

test.each(BOTH)(
  'the heartbeat keeps its bound when the clock is set %s: a client that answers stays, and a silent one is dropped after three periods',
  async (_how, byMs) => {
    const { wsUrl, clock } = await serverWithClock({ HEARTBEAT_SECONDS: '30' });
    const [first, second] = await pairOfPeers(wsUrl, 'room');
    const silent = await Peer.connect(wsUrl, { autoPong: false });
    await silent.join('other');
    const present = await Peer.connect(wsUrl);
    await present.join('other');
    await present.next('room_ready');
    clock.set(byMs);
    const heard: unknown[] = [];
    for (let period = 0; period < 3; period++) {
      clock.advance(30_000);
      // The server has received the pongs of this period when it has answered a later message.
      for (const peer of [first, second]) expect(await peer.sync()).toEqual([]);
      heard.push(...(await present.sync()));
    }
    await silent.closed;
    heard.push(...(await present.sync()));
    expect(heard).toMatchObject([{ type: 'peer_disconnected' }]);
  },
);
