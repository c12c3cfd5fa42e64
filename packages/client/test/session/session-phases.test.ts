// Tests each phase of a session against a scripted server: closing, aborting and errors.
import { getEventListeners } from 'node:events';
import { eventually } from '@couplet/testkit/eventually';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import type { SignalingState } from '../../src/session/session-events.js';
import { FakeSocket } from '../support/fake-socket.js';
import { begin, phases, ready } from '../support/scripted-session.js';

const turn = (username: string) => [{ urls: ['turn:t.example'], username, credential: 'c' }];

beforeEach(() => {
  FakeSocket.all.length = 0;
});

/** An EventTarget that replaces the window and counts its listeners. */
function platform() {
  const target = new EventTarget();
  for (const name of ['addEventListener', 'removeEventListener'] as const) {
    vi.stubGlobal(name, target[name].bind(target));
  }
  onTestFinished(() => void vi.unstubAllGlobals());
  return () => getEventListeners(target, 'online').length;
}

test.each(Object.keys(phases))('closed while %s, it leaves nothing behind', async (phase) => {
  const watching = platform();
  const begun = begin();
  await phases[phase]?.(begun);
  const { session, clock } = begun;
  const pc = session.peer && begun.pc();
  expect(watching()).toBe(1);
  expect(clock.pending).toBeGreaterThan(0);
  const states: string[] = [];
  session.on('state', (state) => states.push(state));
  session.on('signaling', (state) => states.push(state));
  session.close();
  expect(states).toEqual(['closed']);
  expect(clock.pending).toBe(0);
  expect(watching()).toBe(0);
  for (const socket of FakeSocket.all) expect(socket.heard).toBe(false);
  for (const socket of FakeSocket.all) expect(socket.closed).toBe(true);
  if (!pc) return;
  expect(pc.signalingState).toBe('closed');
  session.on('state', (state) => states.push(state));
  const { channel } = pc;
  for (const late of [pc.onconnectionstatechange, pc.onnegotiationneeded, channel.onclose]) {
    (late as (() => void) | null)?.();
  }
  expect([pc.onicecandidate, channel.onmessage]).toEqual([null, null]);
  expect([states, clock.pending]).toEqual([['closed'], 0]);
});

test.each(Object.keys(phases).filter((phase) => !phase.startsWith('connected')))(
  'aborted while %s, it rejects with aborted and leaves nothing behind',
  async (phase) => {
    const begun = begin();
    await phases[phase]?.(begun);
    const abort = new AbortController();
    const connected = begun.session.connected(abort.signal);
    abort.abort('enough');
    await expect(connected).rejects.toMatchObject({ code: 'aborted', cause: 'enough' });
    expect([begun.session.state, begun.clock.pending]).toEqual(['closed', 0]);
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0);
  },
);

test('once connected, the session ignores its signal', async () => {
  const begun = begin();
  const abort = new AbortController();
  const connected = begun.session.connected(abort.signal);
  await phases.connected?.(begun);
  await connected;
  expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0);
  abort.abort();
  expect(begun.session.state).toBe('connected');
});

test('the state of signaling is reported, and nothing else changes', async () => {
  const begun = begin();
  const reported: SignalingState[] = [];
  begun.session.on('signaling', (state) => reported.push(state));
  expect(begun.session.signaling).toBe('joining');
  expect(begun.session.isInitiator).toBeUndefined();
  await phases.connected?.(begun);
  expect(begun.session.isInitiator).toBe(true);
  FakeSocket.latest.say({ type: 'peer_disconnected' });
  FakeSocket.latest.lose(1012);
  begun.clock.advance(500);
  expect(reported).toEqual(['joined', 'ready', 'joined', 'down', 'joining']);
  expect([begun.session.state, begun.session.signaling]).toEqual(['connected', 'joining']);
});

test("the application's configuration is used for every connection and refresh, on one transport", async () => {
  const own = { urls: 'stun:own.example' };
  const begun = begin({
    rtcConfiguration: { iceTransportPolicy: 'relay', bundlePolicy: 'balanced', iceServers: [own] },
  });
  begun.session.on('error', () => {});
  phases['alone in the room']?.(begun);
  for (const user of ['one', 'two']) FakeSocket.latest.say(ready(false, turn(user)));
  FakeSocket.latest.say(ready(false));
  expect(begun.pc().configurations).toEqual(
    ['one', 'two'].map((user) => ({
      iceTransportPolicy: 'relay',
      bundlePolicy: 'max-bundle',
      iceServers: [own, ...turn(user)],
    })),
  );
});

test.each(['failed', 'disconnected'])(
  'after a path that is %s, the session joins again and restarts with fresh ICE servers',
  async (state) => {
    const begun = begin();
    await phases.connected?.(begun);
    const pc = begun.pc();
    pc.signalingState = 'stable';
    pc.become(state);
    const joins = () => FakeSocket.latest.sent.filter(({ type }) => type === 'join_room').length;
    if (state === 'disconnected') {
      begun.clock.advance(999);
      expect(joins()).toBe(1);
      begun.clock.advance(1);
    }
    expect(joins()).toBe(2);
    expect(FakeSocket.latest.sent.at(-1)).toMatchObject({ type: 'join_room', deviceId: 'device' });
    expect(pc.restarts).toBe(0);
    FakeSocket.latest.say({ type: 'room_joined' });
    FakeSocket.latest.say(ready(true, turn('fresh')));
    expect(pc.restarts).toBe(1);
    expect(pc.configurations.at(-1)).toMatchObject({ iceServers: turn('fresh') });
    expect(FakeSocket.all).toHaveLength(1);
  },
);

test('if the path is lost during an outage, the restart follows the reconnect', async () => {
  const begun = begin();
  await phases['connected, the server away']?.(begun);
  begun.pc().become('failed');
  begun.pc().become('disconnected');
  begun.clock.advance(500);
  phases['alone in the room']?.(begun);
  FakeSocket.latest.say(ready(true, turn('fresh')));
  expect(begun.pc().restarts).toBe(1);
});

test('if the server does not answer the join, the client reconnects', async () => {
  const begun = begin();
  await phases['reconnecting by a restart']?.(begun);
  begun.clock.advance(3_000);
  expect(begun.session.signaling).toBe('down');
  begun.clock.advance(500);
  expect(FakeSocket.all).toHaveLength(2);
});

test('every candidate of both sides is reported', async () => {
  const begun = begin();
  const reported: unknown[] = [];
  begun.session.on('candidate', (found) => reported.push(found));
  await phases.negotiating?.(begun);
  await eventually(() => expect(reported).toHaveLength(2));
  const candidate = { candidate: 'candidate:2', sdpMid: '0', sdpMLineIndex: 0 };
  FakeSocket.latest.say({ type: 'ice_candidate', candidate });
  await eventually(() => expect(reported).toHaveLength(3));
  expect(reported.slice(1)).toEqual([
    { side: 'local', candidate: null },
    { side: 'remote', candidate },
  ]);
});
