// Keeps a data channel to the peer open across network changes, server restarts and reloads of the peer.
// The table of states is in session-events.ts.
import type { ClientMessage, PingPeer, RoomReady } from '@couplet/protocol';
import { onAbort } from '../abort.js';
import { Emitter } from '../emitter.js';
import { CoupletError, errorOf, type LocalErrorCode } from '../errors.js';
import {
  type Forwarded,
  SignalingClient,
  type SignalingClientOptions,
} from '../signaling/signaling-client.js';
import type { Pin } from './negotiation.js';
import { onNetworkChange } from './network-changes.js';
import type { Data, Outbox } from './outbox.js';
import { pathOf, roundTripTimeMsOf, type SessionPath } from './path.js';
import { pathGuard } from './path-guard.js';
import { type PeerConnectionConstructor, PeerLink, withIceServers } from './peer-link.js';
import type {
  CandidateFound,
  KeyMessage,
  SavedSession,
  SessionEvents,
  SessionState,
  SessionTrust,
  SignalingState,
} from './session-events.js';

export interface PeerSessionOptions extends SignalingClientOptions {
  RTCPeerConnection: PeerConnectionConstructor;
  /** The application's configuration. The server's ICE servers are appended to its own. */
  rtcConfiguration?: RTCConfiguration | undefined;
  /** In a verified pairing: passes on only what the verified peer sent, and sets `trust` and `saved` of the session. */
  Signaling?: SignalingConstructor | undefined;
}

export type SignalingConstructor = new (
  options: SignalingClientOptions,
  session: Verified,
) => SignalingClient;

/** The result of a verification. */
export interface Verified {
  trust: SessionTrust;
  /** What `save` adds. */
  saved: Pick<SavedSession, 'key'>;
}

/** The connection of a pairing: a data channel to the peer that reconnects by itself. */
export class PeerSession extends Emitter<SessionEvents> {
  /** How the peer was verified. Once the session is `connected`, only a comparison of digits changes it. */
  readonly trust: SessionTrust = 'none';
  /** @internal What `save` adds. */
  readonly saved: Pick<SavedSession, 'key'> = {};
  readonly #options: PeerSessionOptions;
  readonly #signaling: SignalingClient;
  readonly #guard: ReturnType<typeof pathGuard>;
  readonly #stopWatching: () => void;
  #state: SessionState = 'connecting';
  #signalingState: SignalingState = 'joining';
  #path: SessionPath | undefined;
  #link: PeerLink | undefined;
  #role: RoomReady | undefined;
  /** Whether to restart ICE as soon as the peer can be reached. */
  #restartDue = false;
  #pin: Pin | undefined;
  #alarmed: CoupletError | undefined;
  /** Serializes the messages of the peer: each is handled after the one before. */
  #taking: Promise<void> = Promise.resolve();
  readonly #fail = (cause: unknown) =>
    this.emit('error', new CoupletError('negotiation_failed', undefined, cause));

  /** @internal Applications get sessions from `Couplet`. */
  constructor(options: PeerSessionOptions) {
    super();
    this.#options = options;
    const { Signaling = SignalingClient } = options;
    const signaling = new Signaling(options, this);
    this.#signaling = signaling;
    signaling.on('ready', (ready) => this.#ready(ready));
    signaling.on('message', (message) => {
      this.#taking = this.#taking.then(() => this.#take(message)).catch(this.#fail);
    });
    signaling.on('peer-left', () => {
      this.#drop();
      this.#setState('connecting');
      this.emit('peer-left');
    });
    signaling.on('too-big', (unsent) => {
      if (unsent?.type === 'webrtc_offer') this.#link?.negotiation.withdraw();
      this.emit('error', new CoupletError('message_too_big'));
    });
    signaling.on('server-message', (message) => this.emit('server-message', message));
    signaling.on('end', (error) => {
      this.emit('error', error);
      this.close();
    });
    for (const state of ['joining', 'joined', 'down'] as const) {
      signaling.on(state, () => this.#setSignaling(state));
    }
    this.#guard = pathGuard(() => this.restartIce(), options.clock);
    this.#stopWatching = onNetworkChange(() => {
      this.#restartDue = true;
      signaling.reconnect();
    });
  }

  /** The state of the connection to the peer. */
  get state(): SessionState {
    return this.#state;
  }

  /** The state of the connection to the server. */
  get signaling(): SignalingState {
    return this.#signalingState;
  }

  /** The path of the packets; undefined until it is found. */
  get path(): SessionPath | undefined {
    return this.#path;
  }

  /** Whether this side makes the first offer; undefined until the peer has been in the room. */
  get isInitiator(): boolean | undefined {
    return this.#role?.isInitiator;
  }

  /** The current RTCPeerConnection, for tracks and further channels. See the event `peer`. */
  get peer(): RTCPeerConnection | undefined {
    return this.#link?.pc;
  }

  /** The channel used by `send` and `message`. Each new `peer` has a new channel. */
  get channel(): RTCDataChannel | undefined {
    return this.#link?.channel;
  }

  /** Largest message that `send` accepts, in bytes: the limit that the peer announced, 65536 until then. */
  get maxMessageBytes(): number {
    return this.#link?.outbox.maxMessageBytes ?? 0;
  }

  /**
   * Sends a message to the peer. Data that cannot be sent at once is buffered in the channel. Send large data in pieces,
   * and await `drained` before each.
   * @throws CoupletError `invalid_argument` if it is neither text nor bytes; `not_connected` if there is no open channel:
   * nothing is queued for a peer that is absent; `too_large` above `maxMessageBytes`; `buffer_full`
   * if the buffer of the channel is full (in Chromium, above 16 MiB) until it has drained; `closed` or
   * `peer_changed` after the session ended.
   */
  send(data: Data): void {
    this.#outbox().send(data);
  }

  /**
   * Sends a value as JSON text: the peer gets `message` with that text. Throws as `send`; `invalid_argument` if the value
   * has no JSON, such as a function or a circular structure.
   */
  sendJson(value: unknown): void {
    let text: string;
    try {
      text = JSON.stringify(value);
    } catch (cause) {
      throw errorOf('invalid_argument', cause);
    }
    this.send(text);
  }

  /**
   * Resolves once at most 1 MiB of sent data is buffered in the channel. Rejects with `not_connected` if there is no open
   * channel, or if it closes; its buffered data is then lost. Rejects with `closed` if the session is closed.
   */
  async drained(signal?: AbortSignal): Promise<void> {
    return this.#outbox().drained(signal);
  }

  /** The latest round-trip time to the peer, in milliseconds; undefined if none was measured. */
  async roundTripTimeMs(): Promise<number | undefined> {
    return this.#link?.pc.getStats().then(roundTripTimeMsOf, () => undefined);
  }

  /** Restarts ICE on the current connection, with fresh ICE servers, as soon as the peer can be reached. */
  restartIce(): void {
    this.#restartDue = true;
    this.#signaling.rejoin();
  }

  /** Sends a key exchange message, or `ping_peer`, through the server. Returns whether it was sent. See the event `key-message`. */
  signal(message: KeyMessage | PingPeer): boolean {
    return this.#signaling.send(message);
  }

  /** @internal Pins the peer's certificate. From now on, any other certificate ends the session. */
  pin(pin: Pin): void {
    this.#pin = pin;
  }

  /** Returns the pairing for `Couplet.resume`, for example to use after a reload of the page. */
  save(): SavedSession {
    const { roomId, deviceId, secret } = this.#options;
    return { version: 1, roomId, deviceId, ...(secret && { secret }), ...this.saved };
  }

  /** Closes the session and stops all its work. The last event is `state` with `closed`. The pairing remains: see `save`. */
  close(): void {
    if (this.#state === 'closed') return;
    this.#stopWatching();
    this.#signaling.close();
    this.#drop(new CoupletError('closed'));
    this.#setState('closed');
    this.clear();
  }

  /**
   * Resolves once the state is `connected`. Closes the session and rejects if it fails with a final error or the signal
   * is aborted.
   */
  connected(signal?: AbortSignal): Promise<this> {
    return new Promise((resolve, reject) => {
      const settle = (error?: CoupletError) => {
        for (const stop of stops) stop();
        if (!error) return resolve(this);
        reject(error);
        this.close();
      };
      const onState = (state: SessionState) => {
        if (state === 'connected') settle();
        else if (state === 'closed') settle(new CoupletError('closed'));
      };
      const stops = [
        this.on('state', onState),
        this.on('error', (error) => {
          // A description that cannot be applied is not final: the next one may be valid. If there is no peer connection,
          // the platform refused the configuration, which is final.
          if (error.code !== 'negotiation_failed' || !this.peer) settle(error);
        }),
      ];
      stops.push(onAbort(signal, settle));
      onState(this.state);
    });
  }

  #ready(ready: RoomReady): void {
    // `room_ready` contains fresh credentials if the server has any for this room. No further request is needed.
    this.#role = ready;
    try {
      if (this.#link) this.#renew(this.#link, ready);
      else this.#begin();
    } catch (cause) {
      // The platform refused the ICE servers or the configuration.
      this.#fail(cause);
    }
    this.#setSignaling('ready');
  }

  #renew({ pc, negotiation }: PeerLink, { isInitiator, iceServers }: RoomReady): void {
    if (iceServers) pc.setConfiguration(this.#configuration());
    if (this.#restartDue || pc.connectionState === 'failed') pc.restartIce();
    this.#restartDue = false;
    if (isInitiator) negotiation.renew();
  }

  /** Creates a peer connection and closes the previous one, if any. */
  #begin(): void {
    this.#drop();
    const { RTCPeerConnection } = this.#options;
    const link = new PeerLink({
      RTCPeerConnection,
      configuration: this.#configuration(),
      polite: !this.isInitiator,
      pin: () => this.#pin,
      send: (message) => {
        this.#signaling.send(message);
        this.#report('local', message);
      },
      onError: this.#fail,
      onChange: () => void this.#follow(link),
      onMessage: (data) => {
        const bytes = typeof data === 'string' ? data.length * 2 : data.byteLength;
        this.keep('message', [data], bytes, () => this.#lose('messages_lost'));
      },
    });
    this.#link = link;
    this.#restartDue = false;
    this.emit('peer', link.pc);
  }

  #configuration(): RTCConfiguration {
    return withIceServers(this.#options.rtcConfiguration, this.#role?.iceServers);
  }

  async #take(message: Forwarded): Promise<void> {
    if (message.type === 'key_exchange' || message.type === 'key_exchange_complete') {
      return this.emit('key-message', message);
    }
    const link = this.#link;
    if (!link) return;
    this.#report('remote', message);
    const refused = await link.take(message);
    if (link !== this.#link) return;
    if (refused === 'wrong_peer') return this.#alarm();
    if (refused !== 'new_peer') return;
    // The peer has a new connection, for example after a reload of its page. The old one cannot recover.
    if (this.#state === 'connected') this.#setState('reconnecting');
    this.#begin();
    // An answer belongs to an offer of the old connection, so it is dropped; the new connection makes another offer.
    if (message.type === 'webrtc_offer') await this.#take(message);
  }

  #report(side: CandidateFound['side'], message: ClientMessage): void {
    if (message.type !== 'ice_candidate') return;
    this.emit('candidate', { side, candidate: message.candidate as RTCIceCandidateInit | null });
  }

  /** Updates state and path from the peer connection, and restarts ICE if the path is lost. */
  async #follow(link: PeerLink): Promise<void> {
    if (link !== this.#link) return;
    if (this.#pin?.holds(link.pc) === false) return this.#alarm();
    const { connectionState } = link.pc;
    const isOpen = link.channel.readyState === 'open';
    this.#guard(connectionState);
    if (isOpen && connectionState === 'connected') {
      this.#setState('connected');
      // The connection works even if the statistics fail.
      const path = await link.pc.getStats().then(pathOf, () => undefined);
      if (!path || path === this.#path || link !== this.#link) return;
      this.#path = path;
      this.emit('path', path);
    } else if (this.#state === 'connected' && !(isOpen && /new|connecting/.test(connectionState))) {
      // During an ICE restart, these states may be reported while the path still works.
      this.#setState('reconnecting');
    }
  }

  /** Ends the session because its peer is not the verified one. Closes the connection before it emits the error. */
  #alarm(): void {
    this.#alarmed = new CoupletError('peer_changed');
    this.#drop(this.#alarmed);
    this.emit('error', this.#alarmed);
    this.close();
  }

  /** Reports lost messages, as soon as there is a listener. */
  #lose(code: LocalErrorCode): void {
    this.keep('error', [new CoupletError(code)]);
  }

  #drop(error?: CoupletError): void {
    const link = this.#link;
    this.#link = this.#path = undefined;
    this.#guard();
    if (link?.channel.bufferedAmount && !error) this.#lose('not_delivered');
    link?.close(error);
  }

  #outbox(): Outbox {
    if (this.#link) return this.#link.outbox;
    throw this.#alarmed ?? new CoupletError(this.#state === 'closed' ? 'closed' : 'not_connected');
  }

  #setState(state: SessionState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.emit('state', state);
  }

  #setSignaling(state: SignalingState): void {
    if (this.#state === 'closed') return;
    this.#signalingState = state;
    this.emit('signaling', state);
  }
}
