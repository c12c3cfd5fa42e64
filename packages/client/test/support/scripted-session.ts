// Provides a session against a scripted server, and the steps to each of its phases.

import { eventually } from '@couplet/testkit/eventually';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { expect, onTestFinished } from 'vitest';
import type { PeerConnectionConstructor } from '../../src/session/peer-link.js';
import { PeerSession } from '../../src/session/peer-session.js';
import { FakePeerConnection } from './fake-peer-connection.js';
import { FakeSocket } from './fake-socket.js';

/** The message room_ready of the server. */
export const ready = (isInitiator: boolean, iceServers?: object[]) => ({
  ...{ type: 'room_ready', roomId: 'room', message: '', userCount: 2, isInitiator },
  ...(iceServers && { iceServers }),
});

/** Starts a session. It is closed at the end of the test. */
export function begin({
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
export const phases: Record<string, (begun: Begun) => void | Promise<void>> = {
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
export function connect(pc: FakePeerConnection): void {
  pc.channel.readyState = 'open';
  pc.become('connected');
}
