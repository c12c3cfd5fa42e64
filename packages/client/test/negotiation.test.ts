// Negotiation on a platform that asks for an offer when it should not (werift does, now and then).
import type { ClientMessage } from '@couplet/protocol';
import { expect, test } from 'vitest';
import { Negotiation } from '../src/negotiation.js';
import { FakePeerConnection } from './support/fake-peer-connection.js';

test('a platform that asks for an offer in the middle of an answer gets the answer alone', async () => {
  class Hasty extends FakePeerConnection {
    override async setRemoteDescription(description: { type: string; sdp: string }): Promise<void> {
      await super.setRemoteDescription(description);
      this.onnegotiationneeded?.();
    }
  }
  const pc = new Hasty({});
  const sent: ClientMessage[] = [];
  const errors: unknown[] = [];
  const negotiation = new Negotiation(pc as unknown as RTCPeerConnection, {
    polite: true,
    send: (message) => void sent.push(message),
    onError: (error) => void errors.push(error),
  });
  await negotiation.describe({ type: 'webrtc_offer', sdp: 'v=0\r\no=- 1 1\r\n' });
  expect(pc.signalingState).toBe('stable');
  expect(sent.map(({ type }) => type)).toEqual(['webrtc_answer']);
  expect(errors).toEqual([]);
});
