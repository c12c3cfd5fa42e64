// Opens ends of verified pairings without the REST API, and records everything that their applications would see.
import { randomUUID } from 'node:crypto';
import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { type Clock, systemClock } from '../../src/clock.js';
import { CoupletError } from '../../src/errors.js';
import { PeerSession } from '../../src/session/peer-session.js';
import { SignalingClient } from '../../src/signaling/signaling-client.js';
import { type Known, verifying } from '../../src/verify/verified-signaling.js';
import { RTCPeerConnection } from './fake-device.js';
import type { FakePeerConnection } from './fake-peer-connection.js';

export const core = { SignalingClient, CoupletError, clock: systemClock };

/** What one end has seen. */
export interface Seen {
  session: PeerSession;
  deviceId: string;
  /** Its connections. */
  connections: FakePeerConnection[];
  /** Remote descriptions that were passed to WebRTC, whether or not it accepted them. */
  applied: string[];
  messages: unknown[];
  errors: string[];
  states: string[];
}

/** Records a session. It is closed when the test ends. */
export function record(session: PeerSession): Seen {
  const seen: Seen = {
    ...{ session, deviceId: session.save().deviceId, connections: [], applied: [] },
    ...{ messages: [], errors: [], states: [] },
  };
  onTestFinished(() => session.close());
  session.on('message', (message) => seen.messages.push(message));
  session.on('error', ({ code }) => seen.errors.push(code));
  session.on('state', (state) => seen.states.push(state));
  session.on('peer', (peer) => {
    const pc = peer as unknown as FakePeerConnection;
    const apply = pc.setRemoteDescription.bind(pc);
    pc.setRemoteDescription = (description) => {
      seen.applied.push(description.sdp);
      return apply(description);
    };
    seen.connections.push(pc);
  });
  return seen;
}

/** Opens an end. Without `known`, it is a client that knows nothing of verification. */
export function openEnd(
  { url }: { url: string },
  roomId: string,
  known?: Known,
  { clock = systemClock }: { clock?: Clock } = {},
): Seen {
  const deviceId = randomUUID();
  const Signaling = known && verifying(core, known);
  const wsUrl = `${url.replace('http', 'ws')}/`;
  const platform = { WebSocket, RTCPeerConnection };
  return record(new PeerSession({ url: wsUrl, roomId, deviceId, clock, Signaling, ...platform }));
}
