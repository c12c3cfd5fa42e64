// Tests negotiation: early candidates, late answers, DTLS roles, and unexpected negotiationneeded events (as from werift).
import type { ClientMessage } from '@couplet/protocol';
import { expect, test } from 'vitest';
import { Negotiation } from '../../src/session/negotiation.js';
import { FakePeerConnection } from '../support/fake-peer-connection.js';

const OFFER = { type: 'webrtc_offer', sdp: 'v=0\r\na=fingerprint:sha-256 AA\r\n' } as const;

function negotiating(pc = new FakePeerConnection({})) {
  const sent: ClientMessage[] = [];
  const errors: unknown[] = [];
  const negotiation = new Negotiation(pc as unknown as RTCPeerConnection, {
    polite: true,
    pin: () => undefined,
    send: (message) => void sent.push(message),
    onError: (error) => void errors.push(error),
  });
  return { pc, sent, errors, negotiation };
}

test('candidates before their description are kept in order, including the end of candidates', async () => {
  const { pc, errors, negotiation } = negotiating();
  const early = [{ candidate: 'candidate:1' }, { candidate: 'candidate:2' }, null];
  for (const candidate of early) await negotiation.candidate(candidate);
  expect(pc.candidates).toEqual([]);
  await negotiation.describe(OFFER);
  expect(pc.candidates).toEqual(early);
  await negotiation.candidate({ candidate: 'candidate:3' });
  expect(pc.candidates).toHaveLength(4);
  expect(errors).toEqual([]);
});

test('an answer to an earlier offer is not applied as the answer to an ICE restart', async () => {
  const { pc, errors, negotiation } = negotiating();
  const described = (ufrag: string) => ({ sdp: `${OFFER.sdp}a=ice-ufrag:${ufrag}\r\n` });
  const answer = (ufrag: string) =>
    negotiation.describe({ type: 'webrtc_answer', ...described(ufrag) });
  Object.assign(pc, {
    signalingState: 'have-local-offer',
    currentLocalDescription: described('mine'),
    localDescription: described('mine-new'),
    currentRemoteDescription: described('theirs'),
  });
  await answer('theirs');
  expect(pc.signalingState).toBe('have-local-offer');
  await answer('theirs-new');
  expect(pc.signalingState).toBe('stable');
  // Without a restart the credentials stay the same.
  Object.assign(pc, { signalingState: 'have-local-offer', localDescription: described('mine') });
  await answer('theirs');
  expect(pc.signalingState).toBe('stable');
  expect(errors).toEqual([]);
});

test.each([
  ['a=setup:active', 'a=setup:actpass', 'active'],
  ['a=setup:actpass', 'a=setup:active', 'passive'],
  ['a=setup:actpass', 'a=setup:passive', 'active'],
  [undefined, undefined, 'actpass'],
])(
  'an offer keeps the DTLS role of the connection: after %s and %s it is %s',
  async (own, theirs, role) => {
    const { pc, sent, negotiation } = negotiating();
    const described = (sdp: string | undefined) => (sdp === undefined ? null : { sdp });
    Object.assign(pc, {
      signalingState: 'have-local-offer',
      localDescription: { type: 'offer', sdp: 'v=0\r\na=setup:actpass\r\n' },
      currentLocalDescription: described(own),
      currentRemoteDescription: described(theirs),
    });
    negotiation.renew();
    expect(sent).toEqual([{ type: 'webrtc_offer', sdp: `v=0\r\na=setup:${role}\r\n` }]);
  },
);

test('candidates without a description are kept only up to a limit', async () => {
  const { pc, negotiation } = negotiating();
  for (let n = 0; n < 300; n++) await negotiation.candidate({ candidate: `candidate:${n}` });
  await negotiation.describe(OFFER);
  expect(pc.candidates).toHaveLength(200);
});

test('a negotiationneeded event during an answer causes no offer', async () => {
  class Hasty extends FakePeerConnection {
    override async setRemoteDescription(description: { type: string; sdp: string }): Promise<void> {
      await super.setRemoteDescription(description);
      this.onnegotiationneeded?.();
    }
  }
  const { pc, sent, errors, negotiation } = negotiating(new Hasty({}));
  await negotiation.describe(OFFER);
  expect(pc.signalingState).toBe('stable');
  expect(sent.map(({ type }) => type)).toEqual(['webrtc_answer']);
  expect(errors).toEqual([]);
});
