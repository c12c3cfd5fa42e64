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

/** The fake connection of a session. */
export const fakeOf = (session: PeerSession) => session.peer as unknown as FakePeerConnection;

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

/** A WebSocket class, and all sockets that were made of it. */
export function keptSockets() {
  const sockets: WebSocket[] = [];
  class Kept extends WebSocket {
    constructor(url: string, protocols?: string[]) {
      super(url, protocols);
      sockets.push(this);
    }
  }
  return { sockets, Kept };
}
