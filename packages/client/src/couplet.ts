// A device as an application sees it: invites by a code, accepts one, comes back to a pairing, has itself forgotten.
import {
  JOIN_CODE_DIGITS,
  MAX_PURGE_SECRETS,
  type PurgeResponse,
  type RTCIceServer,
} from '@couplet/protocol';
import { systemClock } from './clock.js';
import { CoupletError } from './errors.js';
import { normalizeJoinCode } from './pairing/join-code.js';
import { type Fetch, PairingClient, randomId } from './pairing/pairing-client.js';
import type { PeerConnectionConstructor } from './session/peer-link.js';
import { PeerSession, type PeerSessionOptions } from './session/peer-session.js';
import type { SavedSession } from './session/session-events.js';
import type { SocketConstructor } from './signaling/signaling-client.js';

/** How to reach the server, and what the platform lacks. */
export interface CoupletOptions {
  /** Of the server: `https://host`, with the path below which it is mounted, if any. */
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
   * For every peer connection, for example `iceTransportPolicy: 'relay'`. ICE servers given here come before those of the
   * server, which are fresh ones at every restart. `bundlePolicy` is always `max-bundle`.
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
  /** The time on this device's clock at which it expires. A countdown is better made from `expiresInMs`. */
  readonly expiresAt: Date;
  /** How long it can be accepted, in milliseconds from now, 0 once it has expired. Setting a clock does not change it. */
  expiresInMs(): number;
  /**
   * The session, once the peer has accepted the code and is connected. Rejects with `not_found_or_expired` if nobody
   * accepted it. If the server cannot be reached, rejects with `network` within 30 seconds after the code expired.
   */
  readonly accepted: Promise<PeerSession>;
  /**
   * Stops waiting, and has the server delete the code, so that nobody accepts it any more. So does the `signal` of
   * `invite`. It takes a moment to reach the server; a page that is closed does not cancel its invites.
   */
  cancel(): void;
}

type Platform = Pick<PeerSessionOptions, 'WebSocket' | 'RTCPeerConnection' | 'rtcConfiguration'>;

/** Codes tried before giving up: one that another device has at the moment is rare. */
const MAX_CODES = 10;

/** A device, as the server knows it: where every session begins. */
export class Couplet {
  /** Its id. Who saves it, and gives it to the constructor, is the same device tomorrow. */
  readonly deviceId: string;
  readonly #options: CoupletOptions;
  readonly #url: string;
  readonly #pairing: PairingClient;
  /** Of the pairings of this object. */
  readonly #secrets = new Set<string>();

  /** Only keeps the options. The methods check them, and the platform, before they send a request. */
  constructor(options: CoupletOptions) {
    this.#options = options;
    this.#url = String(options.url).trim().replace(/\/+$/, '');
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
    if (signal?.aborted) throw CoupletError.aborted(signal);
    const platform = this.#platform();
    const { code, expiresMs, secret } = await this.#create(expiresInSeconds, signal);
    const expiresInMs = () => Math.max(0, expiresMs - systemClock.monotonic());
    const waiting = new AbortController();
    let isLive = true;
    const cancel = () => {
      if (isLive) this.#pairing.cancel(code, this.deviceId, secret);
      isLive = false;
      waiting.abort(signal?.reason);
    };
    signal?.addEventListener('abort', cancel, { once: true });
    if (signal?.aborted) cancel();
    const accepted = this.#pairing
      .check(code, this.deviceId, expiresMs, waiting.signal, secret)
      .finally(() => {
        isLive = false;
      })
      .then((roomId) => {
        const pairing = { roomId, deviceId: this.deviceId, secret };
        return this.#open(platform, pairing, { signal: waiting.signal, onSession });
      })
      .finally(() => signal?.removeEventListener('abort', cancel));
    // An application that shows the code and never asks for the session is none of the platform's business.
    accepted.catch(() => {});
    const expiresAt = new Date(Date.now() + expiresInMs());
    return { code, expiresAt, expiresInMs, accepted, cancel };
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
    const platform = this.#platform();
    const { deviceId } = this;
    const accepted = await this.#pairing.accept(joinCode, deviceId, options.signal);
    this.#know(accepted.secret);
    return this.#open(platform, { deviceId, ...accepted }, options);
  }

  /** Comes back to a pairing; resolves once the peer is there too and the two are connected. */
  async resume(saved: SavedSession, options: SessionOptions = {}): Promise<PeerSession> {
    const { roomId, deviceId, secret } = saved;
    this.#know(secret);
    return this.#open(this.#platform(), { roomId, deviceId, secret }, options);
  }

  /**
   * The ICE servers that the server hands out to a pairing, with fresh credentials: for a test of the connection, or an
   * RTCPeerConnection of the application's own. A session fetches its own.
   *
   * @throws CoupletError `forbidden` where the server knows no such pairing
   */
  async iceServers(
    { roomId, deviceId, secret }: SavedSession,
    { signal }: Cancellable = {},
  ): Promise<RTCIceServer[]> {
    this.#checkUrl();
    return this.#pairing.iceServers(roomId, deviceId, signal, secret);
  }

  /**
   * Has the server forget this device, or those given, with all their pairings. A pairing is deleted only with the secret
   * of one of its devices. Those of pairings that this object made or resumed are sent; give the others as `sessions`.
   * The answer counts what was kept for want of a secret (`roomsKept`, `pendingsKept`).
   */
  async purge({
    deviceIds = [this.deviceId],
    sessions = [],
    signal,
  }: Cancellable & {
    deviceIds?: readonly string[];
    sessions?: readonly SavedSession[];
  } = {}): Promise<PurgeResponse> {
    this.#checkUrl();
    const given = sessions.flatMap(({ secret }) => secret ?? []);
    return this.#pairing.purge(deviceIds, signal, [...new Set([...this.#secrets, ...given])]);
  }

  #know(secret: string | undefined): void {
    if (secret) this.#secrets.add(secret);
    const [oldest] = this.#secrets;
    if (oldest && this.#secrets.size > MAX_PURGE_SECRETS) this.#secrets.delete(oldest);
  }

  get #digits(): number {
    return this.#options.joinCodeDigits ?? JOIN_CODE_DIGITS;
  }

  async #create(expiresInSeconds: number, signal: AbortSignal | undefined) {
    for (let tried = 1; ; tried++) {
      const code = someCode(this.#digits);
      try {
        const { deviceId } = this;
        const created = await this.#pairing.create(code, expiresInSeconds, deviceId, signal);
        this.#know(created.secret);
        return { code, ...created };
      } catch (error) {
        const reason = (error as CoupletError).code;
        // The request may have reached the server.
        if (reason === 'aborted') this.#pairing.cancel(code, this.deviceId);
        if (reason !== 'conflict' || tried >= MAX_CODES) throw error;
      }
    }
  }

  #checkUrl(): void {
    // fetch refuses credentials in a URL, and a path is appended to it.
    if (!/^https?:\/\/[^/@?#]+(\/[^?#]*)?$/i.test(this.#url) || !isUrl(this.#url)) {
      throw new CoupletError('invalid_url', {
        message: `Expected an address like https://host, got ${JSON.stringify(this.#url)}.`,
      });
    }
  }

  /** Asked for before the first request, so that a device that cannot connect neither shows nor spends a code. */
  #platform(): Platform {
    this.#checkUrl();
    const {
      fetch = globalThis.fetch,
      WebSocket = globalThis.WebSocket,
      RTCPeerConnection = globalThis.RTCPeerConnection,
      rtcConfiguration,
    } = this.#options;
    try {
      if (!fetch) throw new TypeError('fetch is missing');
      if (!WebSocket) throw new TypeError('WebSocket is missing');
      // Some privacy extensions leave a constructor that throws.
      new RTCPeerConnection(rtcConfiguration).close();
    } catch (cause) {
      throw new CoupletError('unsupported', { message: String(cause), cause });
    }
    return { WebSocket, RTCPeerConnection, rtcConfiguration };
  }

  async #open(
    platform: Platform,
    pairing: Pick<PeerSessionOptions, 'roomId' | 'deviceId' | 'secret'>,
    { signal, onSession }: { [Name in keyof SessionOptions]: SessionOptions[Name] | undefined },
  ): Promise<PeerSession> {
    if (signal?.aborted) throw CoupletError.aborted(signal);
    const session = new PeerSession({
      // With a path, which not every platform adds before a query.
      url: new URL(this.#url.replace(/^http/i, 'ws')).href,
      ...{ ...pairing, ...platform },
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

/** `URL.canParse`, which some browsers in use lack. */
function isUrl(text: string): boolean {
  try {
    return Boolean(new URL(text));
  } catch {
    // Not a URL.
    return false;
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
