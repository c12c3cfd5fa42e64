// Stands in for the existing iOS client: sends the same requests, and treats the answers in the same way.
import { randomBytes, randomUUID } from 'node:crypto';
import { type Answer, call, someCode, someDevice } from '@couplet/testkit/api';
import { Peer, type Received } from '@couplet/testkit/peer';

/** How the app treats a poll: only a 404 is final; after any other status it asks again. */
export type CodeState = 'paired' | 'waiting' | 'expired' | 'ask again';
export type ContactState = 'there' | 'closed' | 'ask again';

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
  /** The device token of APNs, which may change. */
  token = randomBytes(32).toString('hex');

  constructor(server: { url: string; wsUrl: string }) {
    this.#server = server;
  }

  /** The probe of the settings screen. */
  async probe(): Promise<boolean> {
    const { ok } = await fetch(`${this.#server.url}/`, { signal: AbortSignal.timeout(5000) });
    return ok;
  }

  async create(): Promise<Session> {
    const session = { joinid: someCode(), deviceId: someDevice() };
    const body = { joinid: session.joinid, expiresInSeconds: 300, client1: session.deviceId };
    const extra = { client1_token: this.token, platform: 'ios' };
    const { status } = await call(this.#server.url, 'POST', '/api/rooms', { ...body, ...extra });
    if (status !== 201) throw new Error(`create answered ${status}`);
    return session;
  }

  async accept(joinid: string): Promise<Session & { roomid: string }> {
    const deviceId = someDevice();
    const extra = { client2_token: this.token, platform: 'ios' };
    const { status, body } = await call(this.#server.url, 'POST', '/api/rooms/accept', {
      joinid,
      client2: deviceId,
      ...extra,
    });
    if (status !== 200) throw new Error(`accept answered ${status}`);
    return { joinid, deviceId, roomid: body?.roomid as string };
  }

  /** One poll of a code; stores the room in the session once it is paired. */
  async check(session: Session): Promise<CodeState> {
    const { joinid, deviceId } = session;
    const { status, body } = await this.checkAnswer(session, { joinid, client1: deviceId });
    if (status === 200) session.roomid = body?.roomid as string;
    if (status === 200) return 'paired';
    if (status === 204) return 'waiting';
    return status === 404 ? 'expired' : 'ask again';
  }

  checkAnswer({ joinid, deviceId }: Session, body: unknown = { joinid, client1: deviceId }) {
    return call(this.#server.url, 'POST', '/api/rooms/check', body);
  }

  /** One poll of a contact. */
  async contact(session: Session): Promise<ContactState> {
    const { status } = await this.contactAnswer(session);
    if (status === 200) return 'there';
    return status === 404 ? 'closed' : 'ask again';
  }

  contactAnswer({ roomid = '' }: Session): Promise<Answer> {
    return call(this.#server.url, 'GET', `/api/rooms?roomid=${encodeURIComponent(roomid)}`);
  }

  /** Sends the device token for a contact, as after it has changed. */
  renewToken({ roomid, deviceId }: Session): Promise<Answer> {
    const body = { roomid, client: deviceId, token: this.token, platform: 'ios' };
    return call(this.#server.url, 'POST', '/api/push-token', body);
  }

  /** Reports that the user has opened the app. */
  resetBadge({ deviceId }: Session): Promise<Answer> {
    return call(this.#server.url, 'POST', '/api/badge/reset', { deviceId });
  }

  purge(sessions: readonly Session[]): Promise<Answer> {
    return call(this.#server.url, 'POST', '/api/user/purge', {
      deviceIds: sessions.map(({ deviceId }) => deviceId),
    });
  }

  /** Connects, and sends the first ping frame, which the app sends after 2 s. */
  async dial(): Promise<Peer> {
    const connection = await Peer.connect(this.#server.wsUrl);
    await connection.syncByFrame();
    return connection;
  }

  /** Connects and joins; resolves to the connection and `room_joined`. */
  async enter(session: Session): Promise<{ connection: Peer; joined: Received }> {
    const connection = await this.dial();
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
export async function pairApps(
  creator: IosClient,
  acceptor: IosClient,
): Promise<{ hers: Session & { roomid: string }; his: Session & { roomid: string } }> {
  const { joinid, deviceId } = await creator.create();
  const his = await acceptor.accept(joinid);
  const hers = { joinid, deviceId, roomid: '' };
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
