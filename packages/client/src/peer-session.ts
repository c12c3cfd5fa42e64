// One pairing at work: a peer connection with an open data channel, kept alive through whatever the network does.
//
//   state        │ what happens                                             │ next
//   connecting   │ the data channel opens                                   │ connected
//   connected    │ ICE loses the path, or the peer began anew               │ reconnecting
//   reconnecting │ the path is back (ICE restart), or a new channel opens   │ connected
//   any          │ the peer leaves on purpose                               │ connecting: it may come back
//   any          │ close(), or a final error                                │ closed
//
// The signaling connection is in no row: losing it changes no state.
import type { RoomReady, RTCIceServer } from '@couplet/protocol';
import { Emitter } from './emitter.js';
import { CoupletError } from './errors.js';
import { Negotiation } from './negotiation.js';
import { onNetworkChange } from './network-changes.js';
import { pathOf, type SessionPath } from './path.js';
import { PathGuard } from './path-guard.js';
import type { SavedSession, SessionEvents, SessionState } from './session-events.js';
import { SignalingClient, type SignalingClientOptions } from './signaling-client.js';

export type PeerConnectionConstructor = new (configuration?: RTCConfiguration) => RTCPeerConnection;

export interface PeerSessionOptions extends SignalingClientOptions {
  RTCPeerConnection: PeerConnectionConstructor;
  /** Fetches ICE servers with fresh credentials. */
  iceServers(signal: AbortSignal): Promise<RTCIceServer[]>;
}

export class PeerSession extends Emitter<SessionEvents> {
  readonly #options: PeerSessionOptions;
  readonly #signaling: SignalingClient;
  readonly #closing = new AbortController();
  readonly #guard: PathGuard;
  readonly #stopWatching: () => void;
  #state: SessionState = 'connecting';
  #path: SessionPath | undefined;
  #peer: RTCPeerConnection | undefined;
  #channel: RTCDataChannel | undefined;
  #negotiation: Negotiation | undefined;
  #role: Pick<RoomReady, 'isInitiator' | 'iceServers'> = { isInitiator: false };
  /** The network has changed since the peer could last be reached: the path is to be looked for anew. */
  #restartDue = false;
  /** What came from the peer is taken in its order, one after the other. */
  #taking: Promise<void> = Promise.resolve();
  readonly #fail = (cause: unknown) =>
    this.emit('error', new CoupletError('negotiation_failed', { cause }));

  constructor(options: PeerSessionOptions) {
    super();
    this.#options = options;
    this.#signaling = new SignalingClient(options);
    this.#signaling.on('ready', (ready) => this.#ready(ready));
    this.#signaling.on('forwarded', (message) => {
      this.#taking = this.#taking.then(() => this.#take(message)).catch(this.#fail);
    });
    this.#signaling.on('peer-left', () => this.#peerLeft());
    this.#signaling.on('end', (error) => this.#end(error));
    this.#guard = new PathGuard({
      clock: options.clock,
      ask: () => this.#signaling.ask(),
      restart: () => void this.#restart(),
    });
    this.#stopWatching = onNetworkChange(() => {
      this.#restartDue = true;
      this.#signaling.reconnect();
    });
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Undefined until the packets have found their way. */
  get path(): SessionPath | undefined {
    return this.#path;
  }

  /** For tracks and further channels; see the event `peer`. */
  get peer(): RTCPeerConnection | undefined {
    return this.#peer;
  }

  /** The channel of `send` and `message`. Another one when there is a new `peer`. */
  get channel(): RTCDataChannel | undefined {
    return this.#channel;
  }

  /**
   * Sends to the peer.
   *
   * @throws CoupletError `not_connected` where there is no open channel
   */
  send(data: string | ArrayBuffer | ArrayBufferView<ArrayBuffer>): void {
    if (this.#channel?.readyState !== 'open') throw new CoupletError('not_connected');
    this.#channel.send(data as ArrayBuffer);
  }

  save(): SavedSession {
    const { roomId, deviceId } = this.#options;
    return { version: 1, roomId, deviceId };
  }

  /** Leaves. Nothing runs on, and no event follows `state`: `closed`. The pairing stays, see `save`. */
  close(): void {
    if (this.#state === 'closed') return;
    this.#stopWatching();
    this.#closing.abort();
    this.#signaling.close();
    this.#dropPeer();
    this.#setState('closed');
    this.forgetListeners();
  }

  /** Resolves as soon as the state is `connected`; where it never will be, or the signal is aborted, closes and rejects. */
  connected(signal?: AbortSignal): Promise<this> {
    return new Promise((resolve, reject) => {
      const settle = (outcome: () => void) => {
        for (const stop of stops) stop();
        outcome();
      };
      const onAbort = () => {
        settle(() => reject(CoupletError.aborted(signal)));
        this.close();
      };
      const look = (state: SessionState) => {
        if (state === 'connected') settle(() => resolve(this));
        else if (state === 'closed') settle(() => reject(new CoupletError('closed')));
      };
      const stops = [
        this.on('state', look),
        this.on('error', (error) => {
          settle(() => reject(error));
          this.close();
        }),
        () => signal?.removeEventListener('abort', onAbort),
      ];
      signal?.addEventListener('abort', onAbort, { once: true });
      if (signal?.aborted) onAbort();
      else look(this.#state);
    });
  }

  #ready(ready: RoomReady): void {
    this.#role = ready;
    const peer = this.#peer;
    if (peer === undefined) {
      this.#begin();
      return;
    }
    if (ready.iceServers) peer.setConfiguration({ iceServers: ready.iceServers });
    if (this.#restartDue || isLost(peer)) peer.restartIce();
    this.#restartDue = false;
    if (ready.isInitiator) this.#negotiation?.renew();
  }

  /** Makes a peer connection, in the place of the one that there may be. */
  #begin(): void {
    const { isInitiator, iceServers = [] } = this.#role;
    this.#dropPeer();
    const peer = new this.#options.RTCPeerConnection({ iceServers });
    this.#peer = peer;
    this.#negotiation = new Negotiation(peer, {
      polite: !isInitiator,
      send: (message) => this.#signaling.send(message),
      onError: this.#fail,
    });
    peer.onconnectionstatechange = () => void this.#follow(peer);
    // Both sides name the same channel, so neither has to wait for the other's announcement of it.
    const channel = peer.createDataChannel('couplet', { negotiated: true, id: 0 });
    this.#channel = channel;
    channel.binaryType = 'arraybuffer';
    channel.onopen = () => void this.#follow(peer);
    channel.onmessage = ({ data }) => this.emit('message', data);
    this.#restartDue = false;
    this.emit('peer', peer);
  }

  async #take(message: Parameters<Negotiation['describe']>[0] | IceMessage): Promise<void> {
    if (this.#state === 'closed' || this.#negotiation === undefined) return;
    if (message.type === 'ice_candidate') return this.#negotiation.candidate(message.candidate);
    if ((await this.#negotiation.describe(message)) === 'taken' || this.#isClosed()) return;
    // The peer has begun anew, as after a reload of its page. A connection with the one before will never be again.
    if (this.#state === 'connected') this.#setState('reconnecting');
    this.#begin();
    // An answer was to an offer of ours that is void now; the new connection makes another.
    if (message.type === 'webrtc_offer') await this.#negotiation.describe(message);
  }

  /** Follows the peer connection: state, path, and a restart where the path is lost for good. */
  async #follow(peer: RTCPeerConnection): Promise<void> {
    if (peer !== this.#peer) return;
    const { connectionState } = peer;
    this.#guard.follow(connectionState);
    if (connectionState === 'connected' && this.#channel?.readyState === 'open') {
      this.#setState('connected');
      // Without statistics there is a connection all the same.
      const path = await peer.getStats().then(pathOf, () => undefined);
      if (path === undefined || path === this.#path || peer !== this.#peer) return;
      this.#path = path;
      this.emit('path', path);
    } else if (isLost(peer) && this.#state === 'connected') this.#setState('reconnecting');
  }

  async #restart(): Promise<void> {
    const peer = this.#peer;
    try {
      // Those of before may have expired: a restart makes new allocations.
      const iceServers = await this.#options.iceServers(this.#closing.signal);
      if (peer === this.#peer) peer?.setConfiguration({ iceServers });
    } catch {
      // The ones we have may do; and where the server is away, its `room_ready` brings others.
    }
    // The path may have been found meanwhile, or a `room_ready` may have restarted before.
    if (peer !== undefined && peer === this.#peer && isLost(peer)) peer.restartIce();
  }

  #peerLeft(): void {
    this.#dropPeer();
    this.#setState('connecting');
    this.emit('peer-left');
  }

  #end(error: CoupletError): void {
    this.emit('error', error);
    this.close();
  }

  #dropPeer(): void {
    const [peer, channel] = [this.#peer, this.#channel];
    this.#peer = this.#channel = this.#negotiation = this.#path = undefined;
    this.#guard.stop();
    if (channel) channel.onopen = channel.onmessage = null;
    if (!peer) return;
    peer.onconnectionstatechange = peer.onnegotiationneeded = peer.onicecandidate = null;
    peer.close();
  }

  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  #setState(state: SessionState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.emit('state', state);
  }
}

const isLost = ({ connectionState }: RTCPeerConnection): boolean =>
  connectionState === 'disconnected' || connectionState === 'failed';

type IceMessage = { type: 'ice_candidate'; candidate: Parameters<Negotiation['candidate']>[0] };
