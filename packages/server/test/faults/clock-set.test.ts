// The wall clock is set forward or back by an hour: contract §1 (lifetimes of codes) with a corrected clock.
// The test uses a fake clock. Heartbeat and rate limits use timers, which the wall clock does not affect.

import { call, createPending, someCode, someDevice } from '@couplet/testkit/api';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { Peer } from '@couplet/testkit/peer';
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
  'checks held while the clock is set %s are answered within their wait, or woken by an accept',
  async (_how, byMs) => {
    const { url, clock, held } = await serverWithClock();
    const waiting = await createPending(url, { expiresInSeconds: 86_400 });
    const accepted = await createPending(url, { expiresInSeconds: 86_400 });
    const answer = check(url, waiting, { prefer: 'wait=30' });
    const woken = check(url, accepted, { prefer: 'wait=30' });
    await held(2);
    clock.set(byMs);
    const { body } = await accept(url, accepted.joinid);
    expect((await woken).body).toStrictEqual({ roomid: body?.roomid });
    clock.advance(30_000);
    expect((await answer).status).toBe(204);
    await held(0);
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

test('a code expires at its exp by the current clock: setting the clock back prolongs it, and setting it forward ends it', async () => {
  const { url, clock } = await serverWithClock();
  const code = await createPending(url);
  clock.set(-HOUR_MS);
  clock.advance(HOUR_MS + 299_999);
  expect((await check(url, code)).status).toBe(204);
  clock.advance(1);
  expect((await check(url, code)).status).toBe(404);

  const other = await serverWithClock();
  other.clock.set(-HOUR_MS);
  // A code that is created now has the requested lifetime.
  const later = await createPending(other.url, { expiresInSeconds: 60 });
  expect(Date.parse(later.exp)).toBe(other.clock.now() + 60_000);
  other.clock.set(HOUR_MS);
  expect((await check(other.url, later)).status).toBe(404);
  expect((await accept(other.url, later.joinid)).status).toBe(404);
});

test.each(BOTH)(
  'limits measure the time that passes, also if the clock is set %s',
  async (_how, byMs) => {
    const { url, clock } = await serverWithClock({ MAX_FAILED_GUESSES_PER_MINUTE: '1' });
    await createPending(url);
    clock.set(byMs);
    await createPending(url);
    expect((await accept(url, someCode())).status).toBe(404);
    expect((await accept(url, someCode())).status).toBe(429);
    clock.set(byMs);
    expect((await accept(url, someCode())).status).toBe(429);
    clock.advance(60_000);
    expect((await accept(url, someCode())).status).toBe(404);
  },
);

test('an Idempotency-Key is kept for ten minutes by the current clock: setting the clock back keeps it longer, and setting it forward forgets it without a second success', async () => {
  const { url, clock } = await serverWithClock();
  const { joinid } = await createPending(url, { expiresInSeconds: 86_400 });
  const body = { joinid, client2: someDevice() };
  const repeat = () => call(url, 'POST', '/api/rooms/accept', body, { 'idempotency-key': 'k' });
  const first = await repeat();
  expect(first.status).toBe(200);
  clock.set(-HOUR_MS);
  clock.advance(HOUR_MS + 599_999);
  expect((await repeat()).body).toStrictEqual(first.body);
  clock.set(HOUR_MS);
  expect((await repeat()).status).toBe(409);
});

test.each(BOTH)(
  'the heartbeat keeps its bound when the clock is set %s: a client that answers stays, and a silent one is dropped after three periods, also if its peer sends',
  async (_how, byMs) => {
    const { wsUrl, clock } = await serverWithClock({ HEARTBEAT_SECONDS: '30' });
    const silent = await Peer.connect(wsUrl, { autoPong: false });
    await silent.join('room');
    const present = await Peer.connect(wsUrl);
    await present.join('room');
    await present.next('room_ready');
    clock.set(byMs);
    for (let period = 0; period < 3; period++) {
      present.send({ type: 'webrtc_offer', sdp: 'v=0' });
      // The server has received the pong of the last period when it has answered a later message.
      expect(await present.sync()).toEqual([]);
      clock.advance(30_000);
    }
    await silent.closed;
    expect(await present.sync()).toMatchObject([{ type: 'peer_disconnected' }]);
  },
);
