// Devices in this process: the client on fake peer connections, with a real WebSocket.
import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { Couplet, type CoupletOptions, type PeerSession } from '../../src/index.js';
import { FakePeerConnection } from './fake-peer-connection.js';

export const RTCPeerConnection = FakePeerConnection as unknown as NonNullable<
  CoupletOptions['RTCPeerConnection']
>;

/** Creates devices of this server. */
export const devicesOf =
  ({ url }: { url: string }) =>
  (more: Partial<CoupletOptions> = {}) =>
    new Couplet({ url, WebSocket, RTCPeerConnection, ...more });

/** Pairs two devices. Their sessions are closed when the test ends. */
export async function pairSessions(
  inviting: Couplet,
  accepting: Couplet,
  verify = false,
): Promise<[PeerSession, PeerSession]> {
  const invite = await inviting.invite({ verify });
  const guest = await accepting.accept(invite.code);
  const host = await invite.accepted;
  onTestFinished(() => {
    host.close();
    guest.close();
  });
  return [host, guest];
}
