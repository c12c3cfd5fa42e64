// A device as an application sees it: invites by a code, accepts one, comes back to a pairing, has itself forgotten.
import { JOIN_CODE_DIGITS, type PurgeResponse, type RTCIceServer } from '@couplet/protocol';
import { CoupletError } from './errors.js';
import { type Fetch, PairingClient, randomId } from './pairing-client.js';
import type { PeerConnectionConstructor } from './peer-link.js';
import { PeerSession } from './peer-session.js';
import type { SavedSession } from './session-events.js';
import type { SocketConstructor } from './signaling-client.js';

export interface CoupletOptions {
  /** Of the server: `https://host`. */
  url: string;
  /** By default a new random one: who does not save it is nobody's acquaintance tomorrow. */
  deviceId?: string;
  /** Digits of a join code, where the server is configured for another number than six. */
  joinCodeDigits?: number;
  /** Each from the platform, where it has one. */
  fetch?: Fetch;
  WebSocket?: SocketConstructor;
  RTCPeerConnection?: PeerConnectionConstructor;
  /**
   * For every peer connection: `iceTransportPolicy: 'relay'`, say. ICE servers given here come before those that the
   * server hands out, which are fresh ones at every restart.
   */
  rtcConfiguration?: RTCConfiguration;
}

export interface Cancellable {
  /** Ends it: it rejects with `aborted`, and nothing runs on. */
  signal?: AbortSignal;
}

export interface SessionOptions extends Cancellable {
  /** Called with the session before it is connected, for an application that shows how it comes about. */
  onSession?(session: PeerSession): void;
}

export interface Invite {
  /** To show to the peer's user. */
  readonly code: string;
  readonly expiresAt: Date;
  /** The session, once the peer has accepted the code and is connected. */
  readonly accepted: Promise<PeerSession>;
  /** Stops waiting. */
  cancel(): void;
}

/** Codes tried before giving up: one that another device has at the moment is rare. */
const MAX_CODES = 10;

export class Couplet {
  readonly deviceId: string;
  readonly #options: CoupletOptions;
  readonly #url: string;
  readonly #pairing: PairingClient;

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

  /** Accepts the code that the peer shows; resolves once the two are connected. */
  async accept(code: string, options: SessionOptions = {}): Promise<PeerSession> {
    const roomId = await this.#pairing.accept(code, this.deviceId, options.signal);
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

  async #create(expiresInSeconds: number, signal: AbortSignal | undefined) {
    for (let tried = 1; ; tried++) {
      const code = someCode(this.#options.joinCodeDigits ?? JOIN_CODE_DIGITS);
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
