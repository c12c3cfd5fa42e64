// A device as an application sees it: invites by a code, accepts one, comes back to a pairing, has itself forgotten.
import { JOIN_CODE_DIGITS, type PurgeResponse, type RTCIceServer } from '@couplet/protocol';
import { CoupletError } from './errors.js';
import { normalizeJoinCode } from './join-code.js';
import { type Fetch, PairingClient, randomId } from './pairing-client.js';
import type { PeerConnectionConstructor } from './peer-link.js';
import { PeerSession } from './peer-session.js';
import type { SavedSession } from './session-events.js';
import type { SocketConstructor } from './signaling-client.js';

/** How to reach the server, and what the platform lacks. */
export interface CoupletOptions {
  /** Of the server: `https://host`. */
  url: string;
  /** By default a new random one: who does not save it is nobody's acquaintance tomorrow. */
  deviceId?: string;
  /** Number of digits of a join code: `JOIN_CODE_DIGITS` of the server. Defaults to 6. */
  joinCodeDigits?: number;
  /** By default the platform's. */
  fetch?: Fetch;
  /** By default the platform's; Node has one from version 22 on, `ws` before. */
  WebSocket?: SocketConstructor;
  /** By default the platform's; Node has none. */
  RTCPeerConnection?: PeerConnectionConstructor;
  /**
   * For every peer connection: `iceTransportPolicy: 'relay'`, say. ICE servers given here come before those that the
   * server hands out, which are fresh ones at every restart.
   */
  rtcConfiguration?: RTCConfiguration;
}

/** What can be ended before it is done. */
export interface Cancellable {
  /** Ends it: it rejects with `aborted`, and nothing runs on. */
  signal?: AbortSignal;
}

/** How a session comes about. */
export interface SessionOptions extends Cancellable {
  /** Called with the session before it is connected, for an application that shows how it comes about. */
  onSession?(session: PeerSession): void;
}

/** A live code, and who comes by it. */
export interface Invite {
  /** To show to the peer's user. */
  readonly code: string;
  /** Until then it can be accepted. */
  readonly expiresAt: Date;
  /** The session, once the peer has accepted the code and is connected. */
  readonly accepted: Promise<PeerSession>;
  /** Stops waiting. */
  cancel(): void;
}

/** Codes tried before giving up: one that another device has at the moment is rare. */
const MAX_CODES = 10;

/** A device, as the server knows it: where every session begins. */
export class Couplet {
  /** Its id. Who saves it, and gives it to the constructor, is the same device tomorrow. */
  readonly deviceId: string;
  readonly #options: CoupletOptions;
  readonly #url: string;
  readonly #pairing: PairingClient;

  /** Does nothing yet: neither the server nor the platform is asked. */
  constructor(options: CoupletOptions) {
    this.#options = options;
    this.#url = options.url.replace(/\/+$/, '');
    this.deviceId = options.deviceId ?? randomId();
    // A method of the global object: called as one of another object, browsers refuse it.
    const fetch = options.fetch ?? ((url, init) => globalThis.fetch(url, init));
    this.#pairing = new PairingClient({ url: this.#url, fetch });
  }

  /** Makes a code live, and waits for a peer in the background. */
  async invite({
    expiresInSeconds = 300,
    signal,
    onSession,
  }: SessionOptions & { expiresInSeconds?: number } = {}): Promise<Invite> {
    const { code, expiresAt } = await this.#create(expiresInSeconds, signal);
    const waiting = new AbortController();
    const cancel = () => waiting.abort(signal?.reason);
    signal?.addEventListener('abort', cancel, { once: true });
    if (signal?.aborted) cancel();
    const accepted = this.#pairing
      .check(code, this.deviceId, waiting.signal)
      .then((roomId) => this.#open(roomId, this.deviceId, { signal: waiting.signal, onSession }))
      .finally(() => signal?.removeEventListener('abort', cancel));
    // An application that shows the code and never asks for the session is none of the platform's business.
    accepted.catch(() => {});
    return { code, expiresAt, accepted, cancel };
  }

  /**
   * Accepts the code that the peer shows, as a person types it: see `normalizeJoinCode`. Resolves once the two are
   * connected.
   *
   * @throws CoupletError `invalid_joinid` before any request if that is no code
   */
  async accept(code: string, options: SessionOptions = {}): Promise<PeerSession> {
    const joinCode = normalizeJoinCode(code, this.#digits);
    if (joinCode === undefined) {
      throw new CoupletError('invalid_joinid', { message: `A code has ${this.#digits} digits.` });
    }
    const roomId = await this.#pairing.accept(joinCode, this.deviceId, options.signal);
    return this.#open(roomId, this.deviceId, options);
  }

  /** Comes back to a pairing; resolves once the peer is there too and the two are connected. */
  resume({ roomId, deviceId }: SavedSession, options: SessionOptions = {}): Promise<PeerSession> {
    return this.#open(roomId, deviceId, options);
  }

  /**
   * The ICE servers that the server hands out to a pairing, with fresh credentials: for a test of the connection, or an
   * RTCPeerConnection of the application's own. A session fetches its own.
   *
   * @throws CoupletError `forbidden` where the server knows no such pairing
   */
  iceServers(
    { roomId, deviceId }: SavedSession,
    { signal }: Cancellable = {},
  ): Promise<RTCIceServer[]> {
    return this.#pairing.iceServers(roomId, deviceId, signal);
  }

  /** Has the server forget this device, or those given, with all their pairings. */
  purge({
    deviceIds = [this.deviceId],
    signal,
  }: Cancellable & { deviceIds?: readonly string[] } = {}): Promise<PurgeResponse> {
    return this.#pairing.purge(deviceIds, signal);
  }

  get #digits(): number {
    return this.#options.joinCodeDigits ?? JOIN_CODE_DIGITS;
  }

  async #create(expiresInSeconds: number, signal: AbortSignal | undefined) {
    for (let tried = 1; ; tried++) {
      const code = someCode(this.#digits);
      try {
        const { deviceId } = this;
        const expiresAt = await this.#pairing.create(code, expiresInSeconds, deviceId, signal);
        return { code, expiresAt };
      } catch (error) {
        const taken = error instanceof CoupletError && error.code === 'conflict';
        if (!taken || tried >= MAX_CODES) throw error;
      }
    }
  }

  async #open(
    roomId: string,
    deviceId: string,
    { signal, onSession }: { [Name in keyof SessionOptions]: SessionOptions[Name] | undefined },
  ): Promise<PeerSession> {
    if (signal?.aborted) throw CoupletError.aborted(signal);
    const {
      WebSocket = globalThis.WebSocket,
      RTCPeerConnection = globalThis.RTCPeerConnection,
      rtcConfiguration,
    } = this.#options;
    if (!WebSocket || !RTCPeerConnection) throw new CoupletError('unsupported');
    const session = new PeerSession({
      url: this.#url.replace(/^http/, 'ws'),
      ...{ roomId, deviceId, WebSocket, RTCPeerConnection, rtcConfiguration },
    });
    try {
      onSession?.(session);
    } catch (error) {
      session.close();
      throw error;
    }
    return session.connected(signal);
  }
}

/** Digits of which each is as likely as any other. */
function someCode(digits: number): string {
  let code = '';
  while (code.length < digits) {
    const [byte = 0] = crypto.getRandomValues(new Uint8Array(1));
    if (byte < 250) code += byte % 10;
  }
  return code;
}
