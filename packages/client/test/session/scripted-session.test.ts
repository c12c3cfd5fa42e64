// Tests a session against a scripted server: closing, aborting and errors in each of its phases, and its reaction to faults.
import { getEventListeners } from 'node:events';
import { eventually } from '@couplet/testkit/eventually';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import type { PeerConnectionConstructor } from '../../src/session/peer-link.js';
import { PeerSession } from '../../src/session/peer-session.js';
import type { SignalingState } from '../../src/session/session-events.js';
import { FakePeerConnection } from '../support/fake-peer-connection.js';
import { FakeSocket } from '../support/fake-socket.js';

beforeEach(() => {
  FakeSocket.all.length = 0;
});

/** The message room_ready of the server. */
const ready = (isInitiator: boolean, iceServers?: object[]) => ({
  ...{ type: 'room_ready', roomId: 'room', message: '', userCount: 2, isInitiator },
  ...(iceServers && { iceServers }),
});

/** Starts a session. It is closed at the end of the test. */
function begin({
  rtcConfiguration,
  PeerConnection = FakePeerConnection,
}: {
  rtcConfiguration?: RTCConfiguration;
  PeerConnection?: typeof FakePeerConnection;
} = {}) {
  const clock = new FakeClock();
  const RTCPeerConnection = PeerConnection as unknown as PeerConnectionConstructor;
  const session = new PeerSession({
    ...{ url: 'ws://server', roomId: 'room', deviceId: 'device', WebSocket: FakeSocket },
    ...{ RTCPeerConnection, rtcConfiguration, clock, random: () => 1 },
  });
  onTestFinished(() => session.close());
  return { clock, session, pc: () => session.peer as unknown as FakePeerConnection };
}
type Begun = ReturnType<typeof begin>;

/** The phases of a session, in order. */
const phases: Record<string, (begun: Begun) => void | Promise<void>> = {
  connecting: () => {},
  joining: () => FakeSocket.latest.open(),
  'alone in the room': (begun) => {
    phases.joining?.(begun);
    FakeSocket.latest.say({ type: 'room_joined' });
  },
  negotiating: async (begun) => {
    phases['alone in the room']?.(begun);
    FakeSocket.latest.say(ready(true));
    await eventually(() =>
      expect(FakeSocket.latest.sent.map(({ type }) => type)).toContain('webrtc_offer'),
    );
  },
  connected: async (begun) => {
    await phases.negotiating?.(begun);
    connect(begun.pc());
    expect(begun.session.state).toBe('connected');
  },
  'reconnecting, the path may come back by itself': async (begun) => {
    await phases.connected?.(begun);
    begun.pc().become('disconnected');
    expect(begun.session.state).toBe('reconnecting');
  },
  'reconnecting by a restart': async (begun) => {
    await phases.connected?.(begun);
    begun.pc().become('failed');
    expect(begun.session.state).toBe('reconnecting');
  },
  'waiting for the next attempt': (begun) => {
    phases['alone in the room']?.(begun);
    FakeSocket.latest.lose();
  },
  'connected, the server away': async (begun) => {
    await phases.connected?.(begun);
    FakeSocket.latest.lose();
  },
};

/** Connects the path and opens the channel. */
function connect(pc: FakePeerConnection): void {
  pc.channel.readyState = 'open';
  pc.become('connected');
}

const turn = (username: string) => [{ urls: ['turn:t.example'], username, credential: 'c' }];

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

/** An offer of a peer with this certificate. */
const offerOf = (certificate: string) => ({
  type: 'webrtc_offer',
  sdp: `v=0\r\na=fingerprint:sha-256 ${certificate}\r\n`,
});

/** The codes of the session's errors from now on. */
function errorsOf({ session }: ReturnType<typeof begin>): string[] {
  const errors: string[] = [];
  session.on('error', ({ code }) => errors.push(code));
  return errors;
}

/** Connects a session whose first offer is answered; resolves to its peer connection. */
async function answered(begun: ReturnType<typeof begin>): Promise<FakePeerConnection> {
  await phases.negotiating?.(begun);
  const pc = begun.pc();
  FakeSocket.latest.say({ ...offerOf('AA'), type: 'webrtc_answer' });
  await eventually(() => expect(pc.signalingState).toBe('stable'));
  connect(pc);
  return pc;
}

/** A platform that creates a number of peer connections and refuses the next. */
function sparing(made: number): typeof FakePeerConnection {
  let left = made;
  return class extends FakePeerConnection {
    constructor(configuration: unknown) {
      super(configuration);
      left -= 1;
      if (left === -1) throw new Error('refused');
    }
  };
}

test('if the platform refuses the first peer connection, an error is emitted, and the next ready tries again', () => {
  const begun = begin({ PeerConnection: sparing(0) });
  const errors = errorsOf(begun);
  phases['alone in the room']?.(begun);
  FakeSocket.latest.say(ready(true));
  expect([errors, begun.session.peer]).toEqual([['negotiation_failed'], undefined]);
  expect([begun.session.state, begun.session.signaling]).toEqual(['connecting', 'ready']);
  FakeSocket.latest.say(ready(true));
  expect(begun.session.peer).toBeDefined();
  expect(errors).toHaveLength(1);
});

test('an error while handling a message is emitted, and later messages are handled', async () => {
  const begun = begin({ PeerConnection: sparing(1) });
  const errors: unknown[] = [];
  begun.session.on('error', ({ code, cause }) => errors.push([code, String(cause)]));
  await phases.negotiating?.(begun);
  FakeSocket.latest.say({ ...offerOf('AA'), type: 'webrtc_answer' });
  // The peer has a new connection, so one is needed here too, but the platform refuses it.
  FakeSocket.latest.say(offerOf('BB'));
  const reported = new Promise((resolve) => begun.session.on('key-message', resolve));
  FakeSocket.latest.say({ type: 'key_exchange_complete', sessionId: 'after it' });
  expect(await reported).toMatchObject({ sessionId: 'after it' });
  expect(errors).toEqual([['negotiation_failed', 'Error: refused']]);
  // The peer's next offer creates a connection.
  FakeSocket.latest.say(ready(false));
  FakeSocket.latest.say(offerOf('BB'));
  await eventually(() =>
    expect(FakeSocket.latest.sent.map(({ type }) => type)).toContain('webrtc_answer'),
  );
  expect(errors).toHaveLength(1);
});

test('waiting for a connection continues after an answer and an offer that cannot be applied', async () => {
  const begun = begin();
  const errors = errorsOf(begun);
  const connected = begun.session.connected();
  connected.catch(() => {});
  await phases.negotiating?.(begun);
  const pc = begun.pc();
  const answer = { ...offerOf('AA'), type: 'webrtc_answer' };
  for (const [n, description] of [answer, offerOf('AA')].entries()) {
    pc.refusing = true;
    FakeSocket.latest.say(description);
    await eventually(() => expect(errors).toHaveLength(n + 1));
    pc.refusing = false;
    FakeSocket.latest.say(answer);
    await eventually(() => expect(pc.signalingState).toBe('stable'));
  }
  expect(errors).toEqual(['negotiation_failed', 'negotiation_failed']);
  connect(pc);
  expect(await connected).toBe(begun.session);
});

test('if an answer could not be created, a repeated offer is answered', async () => {
  const begun = begin();
  phases['alone in the room']?.(begun);
  FakeSocket.latest.say(ready(true));
  await eventually(() => expect(begun.pc().localDescription).not.toBeNull());
  FakeSocket.latest.say({ ...offerOf('AA'), type: 'webrtc_answer' });
  await eventually(() => expect(begun.pc().signalingState).toBe('stable'));
  // The offer is applied, the answer fails.
  const errors = errorsOf(begun);
  begun.pc().silent = true;
  FakeSocket.latest.say(offerOf('AA'));
  await eventually(() => expect(errors).toEqual(['negotiation_failed']));
  begun.pc().silent = false;
  FakeSocket.latest.say(offerOf('AA'));
  await eventually(() =>
    expect(FakeSocket.latest.sent.map(({ type }) => type)).toContain('webrtc_answer'),
  );
});

test('a description without a certificate is refused, and the connection stays', async () => {
  const begun = begin();
  const pc = await answered(begun);
  const errors = errorsOf(begun);
  FakeSocket.latest.say({ type: 'webrtc_offer', sdp: 'nonsense' });
  await eventually(() => expect(errors).toEqual(['negotiation_failed']));
  expect([begun.session.state, begun.session.peer]).toEqual(['connected', pc]);
});

test('ICE servers that the platform refuses are an error, and the session continues', async () => {
  const begun = begin();
  await phases.connected?.(begun);
  const errors = errorsOf(begun);
  begun.pc().refusing = true;
  FakeSocket.latest.say(ready(false, turn('fresh')));
  expect([errors, begun.session.state]).toEqual([['negotiation_failed'], 'connected']);
});

test('without statistics, the session is connected, but has no path', async () => {
  const begun = begin();
  await phases.negotiating?.(begun);
  begun.pc().unreadable = true;
  connect(begun.pc());
  expect(await begun.session.roundTripTimeMs()).toBeUndefined();
  expect([begun.session.state, begun.session.path]).toEqual(['connected', undefined]);
  begun.pc().unreadable = false;
  expect(await begun.session.roundTripTimeMs()).toBeCloseTo(12);
});

test('after the peer closed the channel, nothing can be sent, and its next offer counts as a new connection, even with the same certificate', async () => {
  const begun = begin();
  const pc = await answered(begun);
  pc.channel.readyState = 'closed';
  expect(() => begun.session.send('x')).toThrow(expect.objectContaining({ code: 'not_connected' }));
  FakeSocket.latest.say(offerOf('AA'));
  await eventually(() => expect(begun.session.peer?.remoteDescription?.type).toBe('offer'));
  expect(begun.session.peer).not.toBe(pc);
  expect(pc.remoteDescription?.type).toBe('answer');
});

test('if the server closes for an offer, the channel stays, and the session rejoins without that offer', async () => {
  const begun = begin();
  await phases.connected?.(begun);
  const pc = begun.pc();
  const errors = errorsOf(begun);
  FakeSocket.latest.lose(1009);
  expect([begun.session.state, begun.session.signaling]).toEqual(['connected', 'down']);
  begun.clock.advance(500);
  phases['alone in the room']?.(begun);
  FakeSocket.latest.say(ready(true));
  await new Promise(setImmediate);
  expect(errors).toEqual(['message_too_big', 'message_too_big']);
  expect(FakeSocket.latest.sent.map(({ type }) => type)).not.toContain('webrtc_offer');
  expect([begun.session.state, pc.signalingState]).toEqual(['connected', 'stable']);
  expect(begun.pc()).toBe(pc);
});

test('a session whose first offer is too large for the server rejects', async () => {
  const begun = begin();
  const connected = begun.session.connected();
  phases.joining?.(begun);
  FakeSocket.latest.say({ type: 'connected', clientId: 'c', server: 's', maxMessageBytes: 20 });
  FakeSocket.latest.say({ type: 'room_joined' });
  FakeSocket.latest.say(ready(true));
  await expect(connected).rejects.toMatchObject({ code: 'message_too_big' });
  expect(begun.session.state).toBe('closed');
});

test.each([
  [16_384, 'short texts', 'x'.repeat(480)],
  [16, 'large buffers', new ArrayBuffer(1024 * 1024 - 64)],
])(
  'up to 16 MiB of messages are kept for a listener (%i %s); further messages are lost and reported once, until those are emitted',
  async (count, _what, data) => {
    const begun = begin();
    await phases.connected?.(begun);
    const say = (data: unknown) => begun.pc().channel.onmessage?.({ data });
    for (let n = 0; n < count; n++) say(data);
    const reported: unknown[] = [];
    begun.session.on('error', ({ code }) => reported.push(code));
    expect(reported).toEqual([]);
    for (const lost of ['a', data, 'b']) say(lost);
    expect(reported).toEqual(['messages_lost']);
    // A listener that is removed gets no more of them, and they are kept.
    begun.session.once('message', (data) => reported.push(data));
    await Promise.resolve();
    expect(reported).toHaveLength(2);
    begun.session.on('message', (data) => reported.push(data));
    // Not before those that were kept.
    say('and on');
    await Promise.resolve();
    say('at once');
    expect([reported.length, ...reported.slice(-2), begun.session.state]).toEqual([
      count + 3,
      'and on',
      'at once',
      'connected',
    ]);
  },
);

test('without a peer, send and drained fail with not_connected', async () => {
  const { session } = begin();
  expect(() => session.send('x')).toThrow(expect.objectContaining({ code: 'not_connected' }));
  await expect(session.drained()).rejects.toMatchObject({ code: 'not_connected' });
  expect(await session.roundTripTimeMs()).toBeUndefined();
  expect(session.maxMessageBytes).toBe(0);
  session.restartIce();
  session.close();
  await expect(session.drained()).rejects.toMatchObject({ code: 'closed' });
});

test('messages before the first peer connection or after the end are ignored', async () => {
  const begun = begin();
  phases['alone in the room']?.(begun);
  const errors = errorsOf(begun);
  const offer = offerOf('AA');
  FakeSocket.latest.say(offer);
  FakeSocket.latest.say(ready(false));
  FakeSocket.latest.say(offer);
  begun.session.close();
  await new Promise(setImmediate);
  expect(errors).toEqual([]);
});
