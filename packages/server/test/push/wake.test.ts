// A device that is alone in a paired room wakes the other one, once per interval, in one process and over two nodes.
import type { PushTarget } from '@couplet/protocol';
import { call, pairDevices, roomsApi, someDevice } from '@couplet/testkit/api';
import { type ChildServer, readMetric, startChild } from '@couplet/testkit/child-server';
import { describeWith } from '@couplet/testkit/components';
import { eventually } from '@couplet/testkit/eventually';
import { Peer } from '@couplet/testkit/peer';
import { type RedisServer, startRedis } from '@couplet/testkit/redis-servers';
import { serverForTest } from '@couplet/testkit/server';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.js';
import { openSqliteStore } from '../../src/pairing/sqlite/store.js';
import type { PairingStore } from '../../src/pairing/store.js';
import type { Notifier, PushOutcome } from '../../src/push/notifier.js';
import type { WakeOutcome } from '../../src/push/wake.js';
import { startWebhook } from '../support/push/webhook-peer.js';
import { newPrefix } from '../support/redis-stores.js';

/** No other timer of the server has this duration. */
const GRACE_SECONDS = 59;

/** Two servers that act as one; in one process, twice the same. */
interface World {
  urls: readonly [string, string];
  /** Every notification that was sent or tried. */
  pushes: { target: PushTarget; roomId: string }[];
  /** Whether each of them is still needed. */
  needs: (() => boolean | undefined)[];
  /** The answers of the push service, the first one first; `sent` if there is none. */
  answers: Promise<PushOutcome>[];
  /** Ends the grace time of every device that is alone now. */
  pass(): void;
  /** Attempts with this outcome, at all servers. */
  attempts(outcome: WakeOutcome): Promise<number>;
  close(): Promise<void>;
}

async function open(
  count: 1 | 2,
  env: Record<string, string>,
  store?: PairingStore,
): Promise<World> {
  const pushes: World['pushes'] = [];
  const needs: World['needs'] = [];
  const answers: World['answers'] = [];
  const graces = new Set<() => void>();
  const clock: Clock = {
    ...systemClock,
    after(delayMs, callback) {
      if (delayMs !== GRACE_SECONDS * 1000) return systemClock.after(delayMs, callback);
      graces.add(callback);
      return () => graces.delete(callback);
    },
  };
  const start = () => {
    const { promise: closed, resolve: close } = withResolvers();
    const ended = closed.then(() => ({ kind: 'failed' as const }));
    const notifier: Notifier = {
      platforms: new Set(['ios', 'web']),
      notify(target, roomId, isNeeded) {
        pushes.push({ target, roomId });
        needs.push(() => isNeeded?.());
        return Promise.race([answers.shift() ?? { kind: 'sent' as const }, ended]);
      },
      close: async () => close(),
    };
    const settings = { PUSH_GRACE_SECONDS: String(GRACE_SECONDS), ...env };
    return serverForTest(settings, { clock, notifier, ...(store && { store }) });
  };
  const servers = await Promise.all(Array.from({ length: count }, start));
  for (const { url } of servers) await isReady(url);
  const [first, second = first] = servers.map(({ url }) => url) as [string, string?];
  return {
    urls: [first, second],
    pushes,
    needs,
    answers,
    pass() {
      for (const end of [...graces]) {
        graces.delete(end);
        end();
      }
    },
    async attempts(outcome) {
      const name = `couplet_wakes_total{outcome="${outcome}"}`;
      const counts = await Promise.all(servers.map(({ url }) => readMetric(url, name)));
      return counts.reduce((sum, value) => sum + value);
    },
    async close() {
      await Promise.all(servers.map((server) => server.close()));
      expect(graces.size).toBe(0);
    },
  };
}

const isReady = (url: string) =>
  eventually(async () => expect((await fetch(`${url}/readyz`)).status).toBe(200));

const setToken = (url: string, roomid: string, client: string, token: string, platform = 'ios') =>
  call(url, 'POST', '/api/push-token', { roomid, client, token, platform });

/** A pairing in which the second device can be woken. */
async function pairing({ urls }: World) {
  const room = await pairDevices(urls[0]);
  expect((await setToken(urls[1], room.roomid, room.client2, 'a0')).status).toBe(200);
  return { ...room, push: { target: { platform: 'ios', token: 'a0' }, roomId: room.roomid } };
}

async function enter(
  { urls }: Pick<World, 'urls'>,
  server: 0 | 1,
  roomId: string,
  deviceId?: string,
) {
  const peer = await Peer.connect(urls[server].replace('http', 'ws'));
  await peer.join(roomId, deviceId);
  return peer;
}

function withResolvers() {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

async function ask(peer: Peer) {
  peer.send({ type: 'ping_peer' });
  const { type, code } = await peer.next();
  return code ?? type;
}

/** The promises that hold in one process and over nodes. */
function wakes(start: () => Promise<World>) {
  test('a device that stays alone wakes the other one once and is told so; another join does not wake it again', async () => {
    const world = await start();
    const { roomid, client1, client2, push } = await pairing(world);
    const alone = await enter(world, 0, roomid, client1);
    // A node answers a join before the grace time begins, and a later message after that.
    expect(await alone.sync()).toEqual([]);
    expect(world.pushes).toEqual([]);
    world.pass();
    expect(await alone.next()).toEqual({ type: 'peer_notified', roomId: roomid });
    expect(world.pushes).toEqual([push]);
    expect(await ask(alone)).toBe('push_too_soon');
    // Also at the other server, which takes over the seat.
    const again = await enter(world, 1, roomid, client1);
    await again.sync();
    world.pass();
    await eventually(async () => expect(await world.attempts('push_too_soon')).toBe(2));
    expect(await again.sync()).toEqual([]);
    expect(world.pushes).toEqual([push]);
    // The limit is for one direction.
    await setToken(world.urls[0], roomid, client1, 'b0');
    again.send({ type: 'leave_room' });
    await again.next('left_room');
    const other = await enter(world, 0, roomid, client2);
    expect(await ask(other)).toBe('peer_notified');
    expect(world.pushes.map(({ target }) => target.token)).toEqual(['a0', 'b0']);
  });

  test('no push is sent to a device that is in the room, or was in it during the grace time', async () => {
    const world = await start();
    const { roomid, client1, client2 } = await pairing(world);
    await setToken(world.urls[0], roomid, client1, 'b0');
    const first = await enter(world, 0, roomid, client1);
    const second = await enter(world, 1, roomid, client2);
    await first.next('room_ready');
    expect(await ask(first)).toBe('peer_present');
    await second.next('room_ready');
    expect(await ask(second)).toBe('peer_present');
    await second.close();
    await first.next('peer_disconnected');
    world.pass();
    first.send({ type: 'leave_room' });
    await first.next('left_room');
    await first.join(roomid, client1);
    first.send({ type: 'leave_room' });
    await first.next('left_room');
    const stranger = await enter(world, 0, someDevice(), client1);
    await stranger.sync();
    world.pass();
    await stranger.sync();
    expect(world.pushes).toEqual([]);
    expect(await world.attempts('sent')).toBe(0);
  });

  test('of concurrent joins of one device at both servers, and of all later ones, only one wakes the other device', async () => {
    const world = await start();
    const { roomid, client1, push } = await pairing(world);
    await Promise.all(
      Array.from({ length: 10 }, async (_, n) => {
        const peer = await Peer.connect(world.urls[n % 2 === 0 ? 0 : 1].replace('http', 'ws'));
        peer.send({ type: 'join_room', roomId: roomid, deviceId: client1 });
        await peer.next();
      }),
    );
    await eventually(async () => {
      world.pass();
      expect(await world.attempts('sent')).toBe(1);
    });
    expect(world.pushes).toEqual([push]);
  });

  test('a token that the push service calls dead is deleted', async () => {
    const world = await start();
    const { roomid, client1, client2 } = await pairing(world);
    const peer = await enter(world, 0, roomid, client1);
    world.answers.push(Promise.resolve({ kind: 'dead' }));
    expect(await ask(peer)).toBe('no_push_target');
    expect(await ask(peer)).toBe('no_push_target');
    expect(world.pushes).toHaveLength(1);
    await setToken(world.urls[0], roomid, client2, 'a1');
    expect(await ask(peer)).toBe('push_too_soon');
  });

  test('a push service that never answers delays nothing: no message, no join, no shutdown', async () => {
    const world = await start();
    const { roomid, client1, client2, push } = await pairing(world);
    world.answers.push(new Promise(() => {}));
    const first = await enter(world, 0, roomid, client1);
    first.send({ type: 'ping_peer' });
    await eventually(() => expect(world.pushes).toEqual([push]));
    expect(await ask(first)).toBe('push_too_soon');
    expect(world.needs[0]?.()).toBe(true);
    const second = await enter(world, 1, roomid, client2);
    await first.next('room_ready');
    await second.next('room_ready');
    expect(world.needs[0]?.()).toBe(false);
    first.send({ type: 'webrtc_offer', sdp: 'x' });
    expect(await second.next('webrtc_offer')).toMatchObject({ sdp: 'x' });
    await world.close();
    expect((await first.closed).code).toBe(1012);
  });
}

describe('in one process', () => {
  const start = (env: Record<string, string> = {}) => open(1, env);
  wakes(start);

  test('ping_peer is answered in every state', async () => {
    const world = await start();
    const { url, wsUrl } = { url: world.urls[0], wsUrl: world.urls[0].replace('http', 'ws') };
    const { roomid, client1, client2 } = await pairDevices(url);
    const peer = await Peer.connect(wsUrl);
    expect(await ask(peer)).toBe('not_in_room');
    await peer.join('a room without a pairing', client1);
    expect(await ask(peer)).toBe('no_push_target');
    await peer.join(roomid);
    expect(await ask(peer)).toBe('no_push_target');
    await peer.join(roomid, client1);
    expect(await ask(peer)).toBe('no_push_target');
    // The notifier has no credentials for this platform.
    await setToken(url, roomid, client2, 'c', 'android');
    expect(await ask(peer)).toBe('no_push_target');
    expect(world.pushes).toEqual([]);
    const other = await pairing(world);
    await peer.join(other.roomid, other.client1);
    world.answers.push(Promise.resolve({ kind: 'failed' }));
    expect(await ask(peer)).toBe('push_failed');
    expect(await ask(peer)).toBe('push_too_soon');
    await roomsApi(url).deleteRoom({ roomid: other.roomid });
    expect(await ask(peer)).toBe('no_push_target');
  });

  test('without credentials, GET /api/push lists nothing, ping_peer is refused, and no grace time runs', async () => {
    const timers: number[] = [];
    const clock: Clock = {
      ...systemClock,
      after(delayMs, callback) {
        timers.push(delayMs);
        return systemClock.after(delayMs, callback);
      },
    };
    const settings = { PUSH_GRACE_SECONDS: String(GRACE_SECONDS) };
    const { url, wsUrl } = await serverForTest(settings, { clock });
    expect((await call(url, 'GET', '/api/push')).body).toEqual({ platforms: [] });
    const { roomid, client1, client2 } = await pairDevices(url);
    await setToken(url, roomid, client2, 'a0');
    const peer = await Peer.connect(wsUrl);
    await peer.join(roomid, client1);
    expect(await ask(peer)).toBe('no_push_target');
    expect(timers).not.toContain(GRACE_SECONDS * 1000);
  });

  test('while a push service hangs, a device that moves to another room wakes the other device of that room', async () => {
    const world = await start();
    const [slow, next] = [await pairing(world), await pairing(world)];
    world.answers.push(new Promise(() => {}));
    const peer = await enter(world, 0, slow.roomid, slow.client1);
    peer.send({ type: 'ping_peer' });
    await eventually(() => expect(world.pushes).toEqual([slow.push]));
    await peer.join(next.roomid, next.client1);
    world.pass();
    expect(await peer.next()).toEqual({ type: 'peer_notified', roomId: next.roomid });
    expect(world.pushes).toEqual([slow.push, next.push]);
  });

  test('a device that comes at the last moment is not woken, and ping_peer is answered so', async () => {
    const store = openSqliteStore(':memory:');
    const { promise: claimed, resolve: reached } = withResolvers();
    const { promise: gate, resolve: release } = withResolvers();
    const claimPush: PairingStore['claimPush'] = async (...args) => {
      const outcome = await store.claimPush(...args);
      reached();
      await gate;
      return outcome;
    };
    const world = await open(1, {}, { ...store, claimPush });
    const [atClaim, inQueue] = [await pairing(world), await pairing(world)];
    const first = await enter(world, 0, atClaim.roomid, atClaim.client1);
    first.send({ type: 'ping_peer' });
    await claimed;
    await enter(world, 0, atClaim.roomid, atClaim.client2);
    await first.next('room_ready');
    release();
    expect(await first.next()).toMatchObject({ code: 'peer_present' });
    expect(world.pushes).toEqual([]);
    const { promise: end, resolve: drop } = withResolvers();
    world.answers.push(end.then(() => ({ kind: 'dropped' })));
    await first.join(inQueue.roomid, inQueue.client1);
    first.send({ type: 'ping_peer' });
    await eventually(() => expect(world.pushes).toEqual([inQueue.push]));
    await enter(world, 0, inQueue.roomid, inQueue.client2);
    await first.next('room_ready');
    drop();
    expect(await first.next()).toMatchObject({ code: 'peer_present' });
  });

  test('after the interval, the device is woken again', async () => {
    const world = await start({ PUSH_INTERVAL_SECONDS: '1' });
    const { roomid, client1 } = await pairing(world);
    const peer = await enter(world, 0, roomid, client1);
    expect(await ask(peer)).toBe('peer_notified');
    await eventually(async () => expect(await ask(peer)).toBe('peer_notified'));
    expect(world.pushes).toHaveLength(2);
  });
});

describeWith(['redis-server'], 'over two nodes', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis?.dispose());
  wakes(() => open(2, { REDIS_URL: redis.url, REDIS_PREFIX: newPrefix() }));

  test('a device whose node is killed, before or after the notification, wakes the other one once', async () => {
    const webhook = await startWebhook(systemClock);
    const env = {
      ...webhook.settings,
      REDIS_URL: redis.url,
      REDIS_PREFIX: newPrefix(),
      // The node is killed sooner.
      PUSH_GRACE_SECONDS: '3',
      PUSH_INTERVAL_SECONDS: '3600',
    };
    const nodes = await Promise.all([1, 2, 3].map(() => startChild(env)));
    for (const { url } of nodes) await isReady(url);
    const [first, second, third] = nodes as [ChildServer, ChildServer, ChildServer];
    const { roomid, client1, client2 } = await pairDevices(first.url);
    await setToken(second.url, roomid, client2, 'a0');
    const joinAt = ({ url }: ChildServer) => enter({ urls: [url, url] }, 0, roomid, client1);
    await joinAt(first);
    await first.kill();
    const peer = await joinAt(second);
    expect(await peer.next()).toEqual({ type: 'peer_notified', roomId: roomid });
    await second.kill();
    await joinAt(third);
    const skipped = 'couplet_wakes_total{outcome="push_too_soon"}';
    await eventually(async () => expect(await third.metric(skipped)).toBe(1));
    expect(webhook.script.received).toMatchObject([
      { platform: 'ios', token: 'a0', roomId: roomid },
    ]);
  });
});
