// One pairing at work: a peer connection with an open data channel, kept alive through whatever the network does.
// Its states and what leads from one to the other: the table in session-events.ts.
import type { RoomReady } from '@couplet/protocol';
import { Emitter } from '../emitter.js';
import { CoupletError } from '../errors.js';
import {
  type Forwarded,
  SignalingClient,
  type SignalingClientOptions,
} from '../signaling/signaling-client.js';
import type { Pin } from './negotiation.js';
import { onNetworkChange } from './network-changes.js';
import type { Data } from './outbox.js';
import { pathOf, roundTripTimeMsOf, type SessionPath } from './path.js';
import { PathGuard } from './path-guard.js';
import { type PeerConnectionConstructor, PeerLink, withIceServers } from './peer-link.js';
import type {
  KeyMessage,
  SavedSession,
  SessionEvents,
  SessionState,
  SignalingState,
} from './session-events.js';

export interface PeerSessionOptions extends SignalingClientOptions {
  RTCPeerConnection: PeerConnectionConstructor;
  /** Of the application; the server's ICE servers come after its own. */
  rtcConfiguration?: RTCConfiguration | undefined;
}

/** A pairing at work: an open data channel to the peer, that heals by itself. */
export class PeerSession extends Emitter<SessionEvents> {
  readonly #options: PeerSessionOptions;
  readonly #signaling: SignalingClient;
  readonly #guard: PathGuard;
  readonly #stopWatching: () => void;
  #state: SessionState = 'connecting';
  #signalingState: SignalingState = 'joining';
  #path: SessionPath | undefined;
  #link: PeerLink | undefined;
  #role: RoomReady | undefined;
  /** The path is to be looked for anew, as soon as the peer can be reached. */
  #restartDue = false;
  #pin: Pin | undefined;
  #alarmed: CoupletError | undefined;
  /** What came from the peer is taken in its order, one after the other. */
  #taking: Promise<void> = Promise.resolve();
  readonly #fail = (cause: unknown) =>
    this.emit('error', new CoupletError('negotiation_failed', { cause }));

  readonly #overflow = () => {
    const message = 'Too many messages came before the application listened to them.';
    this.emit('error', new CoupletError('messages_lost', { message }));
    return this.isHeard('error');
  };

  /** @internal Applications get theirs from `Couplet`. */
  constructor(options: PeerSessionOptions) {
    super();
    this.#options = options;
    const signaling = new SignalingClient(options);
    this.#signaling = signaling;
    signaling.on('ready', (ready) => this.#ready(ready));
    signaling.on('forwarded', (message) => {
      this.#taking = this.#taking.then(() => this.#take(message)).catch(this.#fail);
    });
    signaling.on('peer-left', () => {
      this.#drop();
      this.#setState('connecting');
      this.emit('peer-left');
    });
    signaling.on('too-big', (unsent) => {
      if (unsent?.type === 'webrtc_offer') this.#link?.negotiation.withdraw();
      const message = 'A message is larger than the server takes.';
      this.emit('error', new CoupletError('message_too_big', { message }));
    });
    signaling.on('end', (error) => {
      this.emit('error', error);
      this.close();
    });
    for (const state of ['joining', 'joined', 'down'] as const) {
      signaling.on(state, () => this.#setSignaling(state));
    }
    this.#guard = new PathGuard(() => this.restartIce(), options.clock);
    this.#stopWatching = onNetworkChange(() => {
      this.#restartDue = true;
      signaling.reconnect();
    });
  }

  /** How it stands with the peer. */
  get state(): SessionState {
    return this.#state;
  }

  /** How it stands with the server. */
  get signaling(): SignalingState {
    return this.#signalingState;
  }

  /** Undefined until the packets have found their way. */
  get path(): SessionPath | undefined {
    return this.#path;
  }

  /** Whether this side makes the first offer; undefined until the peer was there. */
  get isInitiator(): boolean | undefined {
    return this.#role?.isInitiator;
  }

  /** For tracks and further channels; see the event `peer`. */
  get peer(): RTCPeerConnection | undefined {
    return this.#link?.pc;
  }

  /** The channel of `send` and `message`. Another one when there is a new `peer`. */
  get channel(): RTCDataChannel | undefined {
    return this.#link?.channel;
  }

  /** What `send` takes at most: what the peer said that it takes, or 65536 while nothing is known. */
  get maxMessageBytes(): number {
    return this.#link?.outbox.maxMessageBytes ?? 0;
  }

  /**
   * Sends to the peer. What cannot go out at once waits in the channel: send in pieces, and await `drained` before each.
   * @throws CoupletError `not_connected` where there is no open channel, `too_large` above `maxMessageBytes`,
   * `buffer_full` where the platform takes no more into the channel (Chromium: above 16 MiB) until it has drained, and
   * `peer_changed` after the session ended with that error
   */
  send(data: Data): void {
    if (!this.#link) throw this.#alarmed ?? new CoupletError('not_connected');
    this.#link.outbox.send(data);
  }

  /**
   * Resolves as soon as at most 1 MiB of what was sent waits in the channel. Rejects with `not_connected` when there is
   * no open channel, or no longer: what waited in it is lost then; with `closed` when the session is closed.
   */
  async drained(signal?: AbortSignal): Promise<void> {
    if (!this.#link) {
      throw this.#alarmed ?? new CoupletError(this.#isClosed() ? 'closed' : 'not_connected');
    }
    return this.#link.outbox.drained(signal);
  }

  /** The latest measured round trip to the peer; undefined where none was measured. */
  async roundTripTimeMs(): Promise<number | undefined> {
    return this.#link?.pc.getStats().then(roundTripTimeMsOf, () => undefined);
  }

  /** Looks for a path anew, with fresh ICE servers, on the connection that there is; as soon as the peer is reachable. */
  restartIce(): void {
    this.#restartDue = true;
    this.#signaling.rejoin();
  }

  /** Sends a message of a key exchange through the server; returns whether it went out. See the event `key-message`. */
  signal(message: KeyMessage): boolean {
    return this.#signaling.send(message);
  }

  /** @internal From now on, a connection with another certificate than this one ends the session. */
  pin(pin: Pin): void {
    this.#pin = pin;
  }

  /** What `Couplet.resume` needs to come back to this pairing, as after a reload of the page. */
  save(): SavedSession {
    const { roomId, deviceId, secret } = this.#options;
    return { version: 1, roomId, deviceId, ...(secret && { secret }) };
  }

  /** Leaves. Nothing runs on, and no event follows `state`: `closed`. The pairing stays, see `save`. */
  close(): void {
    if (this.#isClosed()) return;
    this.#stopWatching();
    this.#signaling.close();
    this.#drop(new CoupletError('closed'));
    this.#setState('closed');
    this.forgetListeners();
  }

  /**
   * Resolves as soon as the state is `connected`. Closes the session and rejects if it fails for good or the signal is
   * aborted.
   */
  connected(signal?: AbortSignal): Promise<this> {
    return new Promise((resolve, reject) => {
      const stop = () => {
        for (const each of stops) each();
      };
      const giveUp = (error: CoupletError) => {
        stop();
        reject(error);
        this.close();
      };
      const onError = (error: CoupletError) => {
        // A description that cannot be applied is not final: the next one may be valid. But without a peer connection
        // the platform has refused the configuration.
        if (error.code !== 'negotiation_failed' || !this.peer) giveUp(error);
      };
      const onAbort = () => giveUp(CoupletError.aborted(signal));
      const onState = (state: SessionState) => {
        if (state === 'connected') {
          stop();
          resolve(this);
        } else if (state === 'closed') giveUp(new CoupletError('closed'));
      };
      const stops = [
        this.on('state', onState),
        this.on('error', onError),
        () => signal?.removeEventListener('abort', onAbort),
      ];
      signal?.addEventListener('abort', onAbort, { once: true });
      if (signal?.aborted) onAbort();
      else onState(this.state);
    });
  }

  #ready(ready: RoomReady): void {
    // Fresh credentials come with it, or, where the server has none for this room, there are none to ask for either.
    this.#role = ready;
    try {
      if (this.#link) this.#renew(this.#link, ready);
      else this.#begin();
    } catch (cause) {
      // ICE servers, or a configuration, that the platform refuses.
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

  /** Makes a peer connection, in the place of the one that there may be. */
  #begin(): void {
    this.#drop();
    const { RTCPeerConnection } = this.#options;
    const link = new PeerLink({
      RTCPeerConnection,
      configuration: this.#configuration(),
      polite: !this.isInitiator,
      pin: () => this.#pin,
      send: (message) => void this.#signaling.send(message),
      onCandidate: (found) => this.emit('candidate', found),
      onError: this.#fail,
      onChange: () => void this.#follow(link),
      onMessage: (data) => this.emitOrKeep('message', data, this.#overflow),
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
    const untaken = await link?.take(message);
    if (link !== this.#link) return;
    if (untaken === 'impostor') return this.#alarm();
    if (untaken !== 'stranger') return;
    // The peer has a new connection, as after a reload of its page. The one before will never work again.
    if (this.#state === 'connected') this.#setState('reconnecting');
    this.#begin();
    // An answer was to an offer of ours that is void now; the new connection makes another.
    if (message.type === 'webrtc_offer') await this.#take(message);
  }

  /** Follows the peer connection: state, path, and a restart where the path is lost for good. */
  async #follow(link: PeerLink): Promise<void> {
    if (link !== this.#link) return;
    if (this.#pin?.holds(link.pc) === false) return this.#alarm();
    this.#guard.follow(link.pc.connectionState);
    if (link.open) {
      this.#setState('connected');
      // Without statistics there is a connection all the same.
      const path = await link.pc.getStats().then(pathOf, () => undefined);
      if (path === undefined || path === this.#path || link !== this.#link) return;
      this.#path = path;
      this.emit('path', path);
    } else if (link.lost && this.#state === 'connected') this.#setState('reconnecting');
  }

  /** Ends the session because its peer is not the verified one. The connection is closed before anybody is told. */
  #alarm(): void {
    this.#alarmed = new CoupletError('peer_changed');
    this.#drop(this.#alarmed);
    this.emit('error', this.#alarmed);
    this.close();
  }

  #drop(error?: CoupletError): void {
    const link = this.#link;
    this.#link = this.#path = undefined;
    this.#guard.stop();
    link?.close(error);
  }

  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  #setState(state: SessionState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.emit('state', state);
  }

  #setSignaling(state: SignalingState): void {
    if (this.#isClosed()) return;
    this.#signalingState = state;
    this.emit('signaling', state);
  }
}
