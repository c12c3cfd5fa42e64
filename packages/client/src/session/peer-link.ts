// One RTCPeerConnection with its negotiation and its data channel: made together, and gone together.
import type { IceCandidate, RTCIceServer, WebRtcAnswer, WebRtcOffer } from '@couplet/protocol';
import { CoupletError } from '../errors.js';
import { Negotiation, type NegotiationOptions, type Untaken } from './negotiation.js';
import { Outbox } from './outbox.js';
import type { CandidateFound } from './session-events.js';

/** A class of peer connections. */
export type PeerConnectionConstructor = new (configuration?: RTCConfiguration) => RTCPeerConnection;

export interface PeerLinkOptions extends NegotiationOptions {
  RTCPeerConnection: PeerConnectionConstructor;
  configuration: RTCConfiguration;
  /** The state of the connection, or of the channel, is another one. */
  onChange(): void;
  onMessage(data: string | ArrayBuffer): void;
  onCandidate(found: CandidateFound): void;
}

export class PeerLink {
  readonly pc: RTCPeerConnection;
  readonly channel: RTCDataChannel;
  readonly outbox: Outbox;
  readonly negotiation: Negotiation;
  readonly #options: PeerLinkOptions;

  constructor(options: PeerLinkOptions) {
    const { RTCPeerConnection, configuration, onChange, onMessage, send } = options;
    this.#options = options;
    this.pc = new RTCPeerConnection(configuration);
    this.negotiation = new Negotiation(this.pc, {
      ...options,
      send: (message) => {
        send(message);
        if (message.type === 'ice_candidate') this.#tell('local', message);
      },
    });
    this.pc.onconnectionstatechange = () => {
      // A restart that finds a better path tells nobody else: nothing is lost meanwhile.
      const ice = this.pc.sctp?.transport?.iceTransport;
      if (ice) ice.onselectedcandidatepairchange = onChange;
      onChange();
    };
    // Both sides name the same channel, so neither has to wait for the other's announcement of it.
    this.channel = this.pc.createDataChannel('couplet', { negotiated: true, id: 0 });
    this.channel.binaryType = 'arraybuffer';
    this.channel.onopen = this.channel.onclose = onChange;
    this.channel.onmessage = ({ data }) => onMessage(data);
    this.outbox = new Outbox(this.pc, this.channel);
  }

  /** Both ends can send. */
  get open(): boolean {
    return this.pc.connectionState === 'connected' && this.channel.readyState === 'open';
  }

  /** Whether what worked works no longer: ICE has lost the path, or the peer has closed the channel. */
  get lost(): boolean {
    const { connectionState } = this.pc;
    const { readyState } = this.channel;
    return (
      connectionState === 'disconnected' ||
      connectionState === 'failed' ||
      readyState === 'closing' ||
      readyState === 'closed'
    );
  }

  /** Takes what came from the peer. One at a time: the caller waits for each. */
  async take(message: WebRtcOffer | WebRtcAnswer | IceCandidate): Promise<Untaken> {
    if (message.type !== 'ice_candidate') {
      if (this.#options.pin()?.admits(message.sdp) === false) return 'impostor';
      // A closed channel never opens again. The peer may have a new connection with the same certificate.
      if (this.channel.readyState === 'closed') return 'stranger';
      return this.negotiation.describe(message);
    }
    this.#tell('remote', message);
    await this.negotiation.candidate(message.candidate);
    return undefined;
  }

  close(error: CoupletError = new CoupletError('not_connected')): void {
    const { pc, channel } = this;
    const ice = pc.sctp?.transport?.iceTransport;
    if (ice) ice.onselectedcandidatepairchange = null;
    channel.onopen = channel.onclose = channel.onmessage = null;
    pc.onconnectionstatechange = pc.onnegotiationneeded = pc.onicecandidate = null;
    pc.close();
    this.outbox.close(error);
  }

  #tell(side: CandidateFound['side'], { candidate }: IceCandidate): void {
    this.#options.onCandidate({ side, candidate: candidate as RTCIceCandidateInit | null });
  }
}

/** The application's configuration, on a single transport, with the server's ICE servers after its own. */
export function withIceServers(
  configuration: RTCConfiguration = {},
  iceServers: readonly RTCIceServer[] = [],
): RTCConfiguration {
  return {
    ...configuration,
    // One transport for all: what a key exchange has verified of one is true of every track and channel.
    bundlePolicy: 'max-bundle',
    iceServers: [...(configuration.iceServers ?? []), ...iceServers],
  };
}
