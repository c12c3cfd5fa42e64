// Tests the states of calls with a peer whose statuses the test writes. Tracks are tested in browsers.
import { expect, onTestFinished, test, vi } from 'vitest';
import { Emitter } from '../src/emitter.js';
import { mediaOf } from '../src/media.js';
import type { PeerSession } from '../src/session/peer-session.js';
import type { SessionEvents, SessionState } from '../src/session/session-events.js';

/** The media of a session whose peer has sent this status. */
function mediaAfter(status: object, state: SessionState = 'connected') {
  const channel: Partial<RTCDataChannel> = { readyState: 'open', send() {} };
  const peer = Object.assign(new EventTarget(), {
    createDataChannel: () => channel,
    getTransceivers: () => [],
  });
  const session = Object.assign(new Emitter<SessionEvents>(), { peer, state });
  const media = mediaOf(session as unknown as PeerSession);
  channel.onmessage?.call(channel as RTCDataChannel, { data: JSON.stringify(status) } as never);
  return media;
}

test('a listener of several events, added while the peer calls, gets the call', async () => {
  const media = mediaAfter({ call: '1' });
  const heard: unknown[][] = [];
  const listener = (...args: unknown[]) => heard.push(args);
  media.on('change', listener);
  media.on('call', listener);
  media.on('call', () => heard.push([]))();
  await Promise.resolve();
  expect(heard).toEqual([['ringing', 'none', false]]);
});

test.each(['', 1, null])(
  'a call with the id %j does not ring, because it could not be declined',
  (call) => {
    expect(mediaAfter({ call }).callState).toBe('none');
  },
);

test('a closed session makes no call, which would never end', () => {
  const media = mediaAfter({}, 'closed');
  media.call();
  expect(media.callState).toBe('none');
});

test.each([
  [undefined, 45_000],
  [{ ringSeconds: 60 }, 60_000],
])('a call with %j that nobody answers ends after %i ms', (options, ms) => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const media = mediaAfter({});
  const heard: unknown[][] = [];
  media.on('call', (...args) => heard.push(args));
  media.call(undefined, options);
  media.hangUp();
  media.call(undefined, options);
  vi.advanceTimersByTime(ms - 1);
  expect(media.callState).toBe('calling');
  vi.advanceTimersByTime(1);
  expect(heard.at(-1)).toEqual(['none', 'calling', true]);
  expect(heard).toHaveLength(4);
});
