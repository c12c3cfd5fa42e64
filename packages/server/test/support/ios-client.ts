// Stands in for the existing iOS client: sends the same requests, and treats the answers in the same way.
import { randomBytes, randomUUID } from 'node:crypto';
import { call, someCode, someDevice } from '@couplet/testkit/api';
import { Peer, type Received } from '@couplet/testkit/peer';

export interface Session {
  joinid: string;
  /** The app takes a new device id for every session. */
  deviceId: string;
  roomid?: string;
}

export const offerSdp = 'v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n';
export const answerSdp = 'v=0\r\no=- 8823402341872349123 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n';

export class IosClient {
  readonly #server: { url: string; wsUrl: string };
  /** Proof of a message's origin: each device has its own key. */
  readonly publicKey = randomBytes(32).toString('base64');
  /** The device token of APNs. */
  readonly token = randomBytes(32).toString('hex');

  constructor(server: { url: string; wsUrl: string }) {
    this.#server = server;
  }

  #post(path: string, body: object) {
    return call(this.#server.url, 'POST', path, body);
  }

  async create(): Promise<Session> {
    const session = { joinid: someCode(), deviceId: someDevice() };
    const { status } = await this.#post('/api/rooms', {
      ...{ joinid: session.joinid, expiresInSeconds: 300, client1: session.deviceId },
      ...{ client1_token: this.token, platform: 'ios' },
    });
    if (status !== 201) throw new Error(`create answered ${status}`);
    return session;
  }

  async accept(joinid: string): Promise<Session & { roomid: string }> {
    const deviceId = someDevice();
    const { status, body } = await this.#post('/api/rooms/accept', {
      ...{ joinid, client2: deviceId, client2_token: this.token, platform: 'ios' },
    });
    if (status !== 200) throw new Error(`accept answered ${status}`);
    return { joinid, deviceId, roomid: body?.roomid as string };
  }

  /** One poll of a code; stores the room in the session once it is paired. Only a 404 ends the polls. */
  async check(session: Session): Promise<'paired' | 'waiting' | 'expired' | 'ask again'> {
    const { joinid, deviceId: client1 } = session;
    const { status, body } = await this.#post('/api/rooms/check', { joinid, client1 });
    if (status === 200) session.roomid = body?.roomid as string;
    if (status === 200) return 'paired';
    if (status === 204) return 'waiting';
    return status === 404 ? 'expired' : 'ask again';
  }

  /** One poll of a contact. */
  async contact({ roomid = '' }: Session): Promise<'there' | 'closed' | 'ask again'> {
    const { status } = await call(this.#server.url, 'GET', `/api/rooms?roomid=${roomid}`);
    if (status === 200) return 'there';
    return status === 404 ? 'closed' : 'ask again';
  }

  /** Connects, sends a ping frame, as the app does after 2 s, and joins; resolves to the connection and `room_joined`. */
  async enter(session: Session): Promise<{ connection: Peer; joined: Received }> {
    const connection = await Peer.connect(this.#server.wsUrl);
    await connection.syncByFrame();
    const joined = await connection.join(session.roomid ?? '', session.deviceId);
    return { connection, joined };
  }

  /** Sends its public key and reports that its keys are in place, as both apps do before the offer. */
  exchangeKeys(connection: Peer): void {
    const sessionId = randomUUID().toUpperCase();
    const timestamp = 1_760_000_000.25;
    connection.send({ type: 'key_exchange', publicKey: this.publicKey, sessionId, timestamp });
    connection.send({ type: 'key_exchange_complete', sessionId, timestamp });
  }
}

/** A pairing as both apps store it: `creator` created the code. */
export async function pairApps(creator: IosClient, acceptor: IosClient) {
  const hers = await creator.create();
  const his = await acceptor.accept(hers.joinid);
  if ((await creator.check(hers)) !== 'paired') throw new Error('accepted, but not paired');
  if (hers.roomid !== his.roomid) throw new Error('the two apps were told different rooms');
  return { hers, his };
}

/** Candidates as the app sends them, with the three fields that it needs in a received candidate. */
export const candidatesOf = (port: number) =>
  [0, 1, 2].map((n) => ({
    candidate: `candidate:${n} 1 udp 2122260223 192.0.2.${n + 1} ${port} typ host generation 0`,
    sdpMLineIndex: 0,
    sdpMid: '0',
  }));
