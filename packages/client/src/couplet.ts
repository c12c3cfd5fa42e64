// The entry point for applications: invites a peer by code, accepts a code, resumes a pairing, and purges a device.
import {
  JOIN_CODE_DIGITS,
  MAX_PURGE_SECRETS,
  type PurgeResponse,
  type RTCIceServer,
  SUBPROTOCOL,
  TOKEN_SUBPROTOCOL,
} from '@couplet/protocol';
import { onAbort, throwIfAborted } from './abort.js';
import { systemClock } from './clock.js';
import { type Answer, CoupletError, errorOf } from './errors.js';
import {
  type Fetch,
  PairingClient,
  randomDigits,
  randomId,
  type Secret,
} from './pairing/pairing-client.js';
import type { PeerConnectionConstructor } from './session/peer-link.js';
import { PeerSession, type PeerSessionOptions } from './session/peer-session.js';
import type { SavedSession } from './session/session-events.js';
import {
  SignalingClient,
  type SocketConstructor,
  type SocketOptions,
} from './signaling/signaling-client.js';
import { currentToken, type Token } from './token.js';
import type { Accepted, VerifiedInvite } from './verify/verify.js';

/** The server to use, and replacements for APIs that the platform lacks. */
export interface CoupletOptions {
  /** The address of the server: `https://host`, plus the path under which the server is mounted, if any. */
  url: string;
  /** Defaults to a new random id. Store it to keep the same identity across reloads. */
  deviceId?: string;
  /** Number of digits in a join code. Set it to the server's `JOIN_CODE_DIGITS`. Defaults to 6. */
  joinCodeDigits?: number;
  /**
   * An access token for a server that requires one: a bearer token (RFC 6750), such as a JWT. A function is called for each
   * request and each connection, and must answer within 10 seconds. If it rejects, the call fails with `token_failed`.
   */
  token?: Token;
  /** Defaults to the platform's `fetch`. */
  fetch?: Fetch;
  /** Defaults to the platform's `WebSocket`. Node has one since version 22; before that, pass the one of `ws`. */
  WebSocket?: SocketConstructor;
  /** Defaults to the platform's `RTCPeerConnection`. Node has none. */
  RTCPeerConnection?: PeerConnectionConstructor;
  /**
   * Options for every peer connection, for example `iceTransportPolicy: 'relay'`. ICE servers given here come before the
   * server's, which are fetched again at every restart. `bundlePolicy` is always `max-bundle`.
   */
  rtcConfiguration?: RTCConfiguration;
}

/** Options of a cancellable operation. */
export interface Cancellable {
  /** Cancels the operation: it rejects with `aborted` and stops all background work. */
  signal?: AbortSignal;
}

/** Options for opening a session. */
export interface SessionOptions extends Cancellable {
  /** Called with the session before it is connected, so that an application can show the progress. */
  onSession?(session: PeerSession): void;
}

/** A live join code, and the session that it leads to. */
export interface Invite {
  /** The code, to be shown to the peer's user. A verified code has six more digits: show it in groups of four. */
  readonly code: string;
  /**
   * Returns the link of a verified invite. Its secret is in the fragment, which browsers do not send to a server. Absent
   * if the invite is not verified.
   */
  link?(url: string): string;
  /** When the code expires, by this device's clock. For a countdown, use `expiresInMs` instead. */
  readonly expiresAt: Date;
  /** Milliseconds until the code expires; 0 once it has expired. Changes of the system clock do not affect it. */
  expiresInMs(): number;
  /**
   * Resolves to the session once the peer has accepted the code and is connected. Rejects with `not_found_or_expired` if
   * no device accepted the code. If the server cannot be reached, rejects with `network` within 30 seconds after the code
   * expired.
   */
  readonly accepted: Promise<PeerSession>;
  /**
   * Stops waiting and deletes the code on the server. Aborting the `signal` of `invite` does the same. Until the request
   * reaches the server, the code can still be accepted. Closing the page does not cancel its invites.
   */
  cancel(): void;
}

type Platform = SocketOptions &
  Pick<PeerSessionOptions, 'RTCPeerConnection' | 'rtcConfiguration' | 'deviceId'>;

/** The longest life of a code for which the invite keeps a socket open. */
const LONGEST_EARLY_SECONDS = 600;

/** Random codes to try before giving up. A code that is already in use is rare. */
const MAX_CODES = 10;

/** Loads the code that verifies pairings and reads their codes. It may be a separate file, so it gets the classes of the core as arguments. */
async function verifier() {
  const module = await import('./verify/verify.js').catch((cause) => {
    throw errorOf('network', cause);
  });
  return module.verifier(SignalingClient, CoupletError, systemClock);
}

/** One device, identified by `deviceId`. Creates and resumes sessions. */
export class Couplet {
  /** The id of this device. Store it and pass it to the constructor to keep the same identity. */
  readonly deviceId: string;
  readonly #options: CoupletOptions;
  readonly #url: string;
  /** Sends a request with the token. */
  readonly #fetch: Fetch;
  /** @internal Sends the requests of this device. */
  readonly pairing: PairingClient;
  readonly #digits: number;
  /** Secrets of the pairings that this object made or resumed. */
  #secrets: Secret[] = [];

  /**
   * Stores the options. The methods check the platform before they send a request.
   *
   * @throws CoupletError `invalid_url` if the platform cannot connect to this `url`
   */
  constructor(options: CoupletOptions) {
    this.#options = options;
    this.#url = checkedUrl(options?.url);
    this.deviceId = options.deviceId ?? randomId();
    this.#digits = options.joinCodeDigits ?? JOIN_CODE_DIGITS;
    // Browsers reject `fetch` when it is called as a method of another object.
    const { token, fetch = (url, init) => globalThis.fetch(url, init) } = options;
    this.#fetch = token
      ? async (url, init) => {
          const Authorization = `Bearer ${await currentToken(token, init.signal)}`;
          return fetch(url, { ...init, headers: { ...init.headers, Authorization } });
        }
      : fetch;
    this.pairing = new PairingClient({ url: this.#url, fetch: this.#fetch });
  }

  /** Creates a join code and waits in the background for a peer to accept it. */
  async invite({
    expiresInSeconds = 300,
    verify,
    signal,
    onSession,
  }: SessionOptions & { expiresInSeconds?: number; verify?: boolean } = {}): Promise<Invite> {
    const platform = this.#platform(signal);
    const verified = verify && (await (await verifier()).invite());
    const { code, expiresMs, secret } = await this.#create(expiresInSeconds, signal);
    const { shown, Signaling }: Partial<VerifiedInvite> = verified ? verified(code) : {};
    const expiresInMs = () => Math.max(0, expiresMs - systemClock.monotonic());
    // Nobody watches a code that lives for hours, so it does not keep a socket open.
    const early = expiresInSeconds <= LONGEST_EARLY_SECONDS ? connectEarly(platform) : undefined;
    const waiting = new AbortController();
    let isLive = true;
    const cancel = () => {
      if (isLive) this.pairing.cancel(code, this.deviceId, secret);
      isLive = false;
      waiting.abort(signal?.reason);
    };
    const stop = onAbort(signal, cancel);
    const accepted = this.pairing
      .check(code, this.deviceId, expiresMs, waiting.signal, secret)
      .finally(() => {
        isLive = false;
      })
      .then((roomId) => {
        const session = { ...platform, roomId, secret, Signaling, early };
        return this.#open(session, { signal: waiting.signal, onSession });
      })
      .finally(() => {
        stop();
        early?.close();
      });
    // Otherwise an application that never reads `accepted` would get an unhandled rejection.
    accepted.catch(() => {});
    const expiresAt = new Date(Date.now() + expiresInMs());
    return { code, ...shown, expiresAt, expiresInMs, accepted, cancel };
  }

  /**
   * Accepts the join code that the peer shows. The text is normalized as by `normalizeJoinCode`. Resolves once both
   * devices are connected.
   *
   * @throws CoupletError `invalid_joinid`, before any request, if the text is not a code.
   */
  async accept(code: string, options: SessionOptions = {}): Promise<PeerSession> {
    const typed = String(code);
    const digits = typed.replace(/[\s-]/g, '');
    // Most codes are read without loading the module that reads the others.
    const isPlain = !/\D/.test(digits) && digits.length === this.#digits;
    const { joinCode, Signaling }: Accepted = isPlain
      ? { joinCode: digits }
      : await (await verifier()).accept(typed, this.#digits);
    const platform = this.#platform(options.signal);
    const early = connectEarly(platform);
    try {
      const accepted = await this.pairing.accept(joinCode, this.deviceId, options.signal);
      return await this.#open({ ...platform, ...accepted, Signaling, early }, options);
    } finally {
      // A refused code, or a cancelled call: no session took the connection.
      early.close();
    }
  }

  /** Resumes a saved pairing. Resolves once both devices are connected again. */
  async resume(saved: SavedSession, options: SessionOptions = {}): Promise<PeerSession> {
    const { key } = saved;
    const platform = this.#platform(options.signal);
    const Signaling = key === undefined ? key : (await verifier()).resume(key);
    return this.#open({ ...platform, ...saved, Signaling }, options);
  }

  /**
   * Fetches the ICE servers of a pairing, with fresh credentials. Use it to test the connection, or for an
   * RTCPeerConnection that the application creates. A session fetches its own.
   *
   * @throws CoupletError `forbidden` if the server has no such pairing.
   */
  async iceServers(
    { roomId, deviceId, secret }: SavedSession,
    { signal }: Cancellable = {},
  ): Promise<RTCIceServer[]> {
    const read = ({ body }: Answer) => body?.iceServers as RTCIceServer[] | undefined;
    const body = { roomid: roomId, client: deviceId, secret };
    return this.pairing.request('/api/ice-servers', body, { read, signal });
  }

  /**
   * Deletes one pairing from the server, so that neither device can resume it. A session that is open stays connected.
   *
   * @throws CoupletError `forbidden` if the pairing has secrets and `saved` has none of them
   */
  async forget({ roomId, secret }: SavedSession, { signal }: Cancellable = {}): Promise<void> {
    const body = { roomid: roomId, secret };
    await this.pairing.request('/api/rooms', body, { signal, method: 'DELETE' });
  }

  /**
   * Deletes the given devices (this one by default) and their pairings from the server. Deleting a pairing takes the
   * secret of one of its devices. The secrets of pairings that this object made or resumed are sent; pass the others as
   * `sessions`. `roomsKept` and `pendingsKept` in the answer count the pairings kept because no secret was sent.
   */
  async purge({
    deviceIds = [this.deviceId],
    sessions = [],
    signal,
  }: Cancellable & {
    deviceIds?: readonly string[];
    sessions?: readonly SavedSession[];
  } = {}): Promise<PurgeResponse> {
    const secrets = this.#keepSecrets(...sessions.map(({ secret }) => secret));
    return this.pairing.request('/api/user/purge', { deviceIds, secrets }, { signal });
  }

  /** Adds secrets, and returns the latest ones, as many as a purge may send. */
  #keepSecrets(...secrets: Secret[]): Secret[] {
    const all = new Set([...this.#secrets, ...secrets]);
    all.delete(undefined);
    this.#secrets = [...all].slice(-MAX_PURGE_SECRETS);
    return this.#secrets;
  }

  async #create(expiresInSeconds: number, signal: AbortSignal | undefined) {
    for (let tried = 1; ; tried++) {
      const code = randomDigits(this.#digits);
      try {
        const created = await this.pairing.create(code, expiresInSeconds, this.deviceId, signal);
        this.#keepSecrets(created.secret);
        return { code, ...created };
      } catch (error) {
        const reason = (error as CoupletError).code;
        // The request may have reached the server, and then the code is live.
        if (reason === 'aborted') this.pairing.cancel(code, this.deviceId);
        if (reason !== 'conflict' || tried >= MAX_CODES) throw error;
      }
    }
  }

  /** Checks the platform before the first request. Otherwise a device that cannot connect could use up a code. */
  #platform(signal: AbortSignal | undefined): Platform {
    throwIfAborted(signal);
    const {
      fetch = globalThis.fetch,
      WebSocket = globalThis.WebSocket,
      RTCPeerConnection = globalThis.RTCPeerConnection,
      rtcConfiguration,
      token,
    } = this.#options;
    try {
      if (!fetch || !WebSocket) throw new TypeError('no fetch or WebSocket');
      // Some privacy extensions replace the constructor with one that throws.
      new RTCPeerConnection(rtcConfiguration).close();
    } catch (cause) {
      throw errorOf('unsupported', cause);
    }
    const protocols: Platform['protocols'] = token
      ? async (isDoubtful) => {
          // A browser does not report why an opening handshake was refused, so a request tests the token.
          const test = () => this.#fetch(`${this.#url}/api/rooms`, {}).catch(() => undefined);
          if (isDoubtful && (await test())?.status === 401) throw new CoupletError('unauthorized');
          return [SUBPROTOCOL, TOKEN_SUBPROTOCOL + encodeURIComponent(await currentToken(token))];
        }
      : undefined;
    // `URL` adds the path "/", which not every platform adds before a query.
    const { href: url } = new URL(this.#url.replace(/^http/i, 'ws'));
    const { deviceId } = this;
    return { WebSocket, RTCPeerConnection, rtcConfiguration, deviceId, url, protocols };
  }

  async #open(
    pairing: PeerSessionOptions,
    { signal, onSession }: { [Name in keyof SessionOptions]: SessionOptions[Name] | undefined },
  ): Promise<PeerSession> {
    this.#keepSecrets(pairing.secret);
    throwIfAborted(signal);
    const session = new PeerSession(pairing);
    try {
      onSession?.(session);
    } catch (error) {
      session.close();
      throw error;
    }
    return session.connected(signal);
  }
}

/** Connects before the room is known, so that the handshakes take no time later. Errors are the session's to report. */
const connectEarly = (platform: Platform) => new SignalingClient({ ...platform, roomId: '' });

/** Returns the address of the server without slashes at its end, to which a path is appended. */
function checkedUrl(url: unknown): string {
  const base = String(url).trim().replace(/\/+$/, '');
  try {
    // `fetch` rejects URLs with credentials. A query or fragment is not allowed because a path is appended.
    const isUrl = /^https?:\/\/[^/@?#]+(\/[^?#]*)?$/i.test(base) && new URL(base);
    // From a page at https:, browsers connect to http: on the same machine only.
    const isSafe = /^https:|^http:\/\/(localhost|127\.|\[::1])/i.test(base);
    if (isUrl && (isSafe || globalThis.location?.protocol !== 'https:')) return base;
  } catch {
    // Not a URL. Some browsers lack `URL.canParse`.
  }
  throw new CoupletError('invalid_url', `Expected https://host, got "${base}".`);
}
