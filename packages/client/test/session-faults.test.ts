// What goes wrong in a session, and what does not because of it.
import { beforeEach, expect, test } from 'vitest';
import { eventually } from '../../server/test/support/eventually.js';
import { FakePeerConnection } from './support/fake-peer-connection.js';
import { FakeSocket } from './support/fake-socket.js';
import { begin, connect, phases, ready } from './support/scripted-session.js';

const fresh = [{ urls: ['turn:t.example'], username: 'fresh', credential: 'c' }];

beforeEach(() => {
  FakeSocket.all.length = 0;
});

/** A platform that makes so many peer connections, and refuses the next. */
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

test('a first peer connection that the platform refuses is told, and the next ready makes it', () => {
  const begun = begin({ PeerConnection: sparing(0) });
  const errors: string[] = [];
  begun.session.on('error', ({ code }) => errors.push(code));
  phases['alone in the room']?.(begun);
  FakeSocket.latest.say(ready(true));
  expect([errors, begun.session.peer]).toEqual([['negotiation_failed'], undefined]);
  expect([begun.session.state, begun.session.signaling]).toEqual(['connecting', 'ready']);
  FakeSocket.latest.say(ready(true));
  expect(begun.session.peer).toBeDefined();
  expect(errors).toHaveLength(1);
});

test('an error while a message is taken is told, and the messages after it are taken', async () => {
  const begun = begin({ PeerConnection: sparing(1) });
  const errors: unknown[] = [];
  begun.session.on('error', ({ code, cause }) => errors.push([code, String(cause)]));
  await phases.negotiating?.(begun);
  const of = (origin: string) => ({ type: 'webrtc_offer', sdp: `v=0\r\no=- ${origin} 1\r\n` });
  FakeSocket.latest.say({ ...of('before'), type: 'webrtc_answer' });
  // The peer has begun anew: another peer connection is due, and cannot be made.
  FakeSocket.latest.say(of('anew'));
  const told = new Promise((resolve) => begun.session.on('key-message', resolve));
  FakeSocket.latest.say({ type: 'key_exchange_complete', sessionId: 'after it' });
  expect(await told).toMatchObject({ sessionId: 'after it' });
  expect(errors).toEqual([['negotiation_failed', 'Error: refused']]);
  // With the peer's next word there is a connection again.
  FakeSocket.latest.say(ready(false));
  FakeSocket.latest.say(of('anew'));
  await eventually(() =>
    expect(FakeSocket.latest.sent.map(({ type }) => type)).toContain('webrtc_answer'),
  );
  expect(errors).toHaveLength(1);
});

test('ICE servers that the platform refuses are told, and the session goes on', async () => {
  const begun = begin();
  await phases.connected?.(begun);
  const errors: string[] = [];
  begun.session.on('error', ({ code }) => errors.push(code));
  begun.pc().refusing = true;
  FakeSocket.latest.say(ready(false, fresh));
  expect([errors, begun.session.state]).toEqual([['negotiation_failed'], 'connected']);
});

test('statistics that cannot be read: connected all the same, without a path', async () => {
  const begun = begin();
  await phases.negotiating?.(begun);
  begun.pc().unreadable = true;
  connect(begun.pc());
  expect(await begun.session.roundTripTimeMs()).toBeUndefined();
  expect([begun.session.state, begun.session.path]).toEqual(['connected', undefined]);
  begun.pc().unreadable = false;
  expect(await begun.session.roundTripTimeMs()).toBeCloseTo(12);
});

test('a channel that the peer closed: reconnecting, and nothing can be sent', async () => {
  const begun = begin();
  await phases.connected?.(begun);
  const { channel } = begun.pc();
  channel.readyState = 'closed';
  channel.onclose?.({});
  expect(begun.session.state).toBe('reconnecting');
  expect(() => begun.session.send('x')).toThrow(expect.objectContaining({ code: 'not_connected' }));
});

test('without a peer there is nothing to send on, and nothing to wait for', async () => {
  const { session } = begin();
  expect(() => session.send('x')).toThrow(expect.objectContaining({ code: 'not_connected' }));
  await expect(session.drained()).rejects.toMatchObject({ code: 'not_connected' });
  expect(await session.roundTripTimeMs()).toBeUndefined();
  expect(session.maxMessageBytes).toBe(0);
  session.restartIce();
  session.close();
  await expect(session.drained()).rejects.toMatchObject({ code: 'closed' });
});

test('what comes before there is a peer connection, or after the end, is nobody’s', async () => {
  const begun = begin();
  phases['alone in the room']?.(begun);
  const errors: string[] = [];
  begun.session.on('error', ({ code }) => errors.push(code));
  const offer = { type: 'webrtc_offer', sdp: 'v=0\r\no=- 1 1\r\n' };
  FakeSocket.latest.say(offer);
  FakeSocket.latest.say(ready(false));
  FakeSocket.latest.say(offer);
  begun.session.close();
  await new Promise(setImmediate);
  expect(errors).toEqual([]);
});
