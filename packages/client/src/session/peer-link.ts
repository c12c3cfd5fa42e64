// Holds one RTCPeerConnection with its negotiation and its data channel. All three are created and closed together.
import type { IceCandidate, RTCIceServer, WebRtcAnswer, WebRtcOffer } from '@couplet/protocol';
import { CoupletError } from '../errors.js';
import { Negotiation, type NegotiationOptions, type Refused } from './negotiation.js';
import { Outbox } from './outbox.js';

/** The `RTCPeerConnection` class of a platform or a package. */
export type PeerConnectionConstructor = new (configuration?: RTCConfiguration) => RTCPeerConnection;

export interface PeerLinkOptions extends NegotiationOptions {
  RTCPeerConnection: PeerConnectionConstructor;
  configuration: RTCConfiguration;
  /** Called when the state of the connection or of the channel changes. */
  onChange(): void;
  onMessage(data: string | ArrayBuffer): void;
}

export class PeerLink {
  readonly pc: RTCPeerConnection;
  readonly channel: RTCDataChannel;
  readonly outbox: Outbox;
  readonly negotiation: Negotiation;
  readonly #options: PeerLinkOptions;

  constructor(options: PeerLinkOptions) {
    const { RTCPeerConnection, configuration, onChange, onMessage } = options;
    this.#options = options;
    this.pc = new RTCPeerConnection(configuration);
    this.negotiation = new Negotiation(this.pc, options);
    this.pc.onconnectionstatechange = () => {
      // If an ICE restart finds a better path while the old one works, no other event fires.
      const ice = this.pc.sctp?.transport?.iceTransport;
      if (ice) ice.onselectedcandidatepairchange = onChange;
      onChange();
    };
    // Both sides create the channel with the same id, so neither waits for the other to announce it.
    this.channel = this.pc.createDataChannel('couplet', { negotiated: true, id: 0 });
    this.channel.binaryType = 'arraybuffer';
    this.channel.onopen = this.channel.onclose = () => {
      this.outbox.check();
      onChange();
    };
    this.channel.onmessage = ({ data }) => onMessage(data);
    this.outbox = new Outbox(this.pc, this.channel);
  }

  /** Handles a message of the peer. The caller waits for each call before the next. */
  async take(message: WebRtcOffer | WebRtcAnswer | IceCandidate): Promise<Refused> {
    if (message.type !== 'ice_candidate') {
      if (this.#options.pin()?.admits(message.sdp) === false) return 'wrong_peer';
      // A closed channel never opens again. The peer may have a new connection with the same certificate.
      if (this.channel.readyState === 'closed') return 'new_peer';
      return this.negotiation.describe(message);
    }
    await this.negotiation.candidate(message.candidate);
    // A peer that was heard before its candidate arrived gets the type of that candidate, without an event. While a path is
    // lost, a candidate changes no state, and must not restart ICE again.
    if (this.pc.connectionState === 'connected') this.#options.onChange();
    return undefined;
  }

  close(error: CoupletError = new CoupletError('not_connected')): void {
    const { pc, channel } = this;
    // Other events after the close change nothing: `onChange` ignores a link that is no longer the session's.
    channel.onmessage = pc.onicecandidate = null;
    pc.close();
    this.outbox.check(error);
  }
}

/** Returns the application's configuration with a single transport and the server's ICE servers appended. */
export function withIceServers(
  configuration: RTCConfiguration = {},
  iceServers: readonly RTCIceServer[] = [],
): RTCConfiguration {
  return {
    ...configuration,
    // With a single transport, the certificate that a key exchange verifies covers every track and channel.
    bundlePolicy: 'max-bundle',
    iceServers: [...(configuration.iceServers ?? []), ...iceServers],
  };
}
