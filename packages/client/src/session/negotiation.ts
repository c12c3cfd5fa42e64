// Implements perfect negotiation on one RTCPeerConnection (W3C WebRTC §10.7), with trickle ICE (RFC 8838).
import type { ClientMessage, IceCandidate, WebRtcAnswer, WebRtcOffer } from '@couplet/protocol';
import { identityOf } from './peer-identity.js';

export interface NegotiationOptions {
  /** Whether this side yields when both sides offer at once. The polite side never makes the first offer. */
  polite: boolean;
  /** Sends to the peer. While the peer cannot be reached, messages are dropped; `renew` replaces them. */
  send(message: ClientMessage): void;
  /** The verified certificate of the peer; undefined before a key exchange. */
  pin(): Pin | undefined;
  /** Called if a description could not be created or applied. */
  onError(cause: unknown): void;
}

/** The verified certificate of the peer. */
export interface Pin {
  /** Whether this received description is from the verified peer, and no parser can read it differently. */
  admits(sdp: string): boolean;
  /** Whether all transports of the connection use the verified certificate. */
  holds(pc: RTCPeerConnection): boolean;
}

/**
 * Why a description was refused. `new_peer`: the peer uses a new peer connection, so this end needs a new one too.
 * `wrong_peer`: the description is not from the verified peer, which ends the session.
 */
export type Refused = 'new_peer' | 'wrong_peer' | undefined;

export class Negotiation {
  readonly #pc: RTCPeerConnection;
  readonly #options: NegotiationOptions;
  /** Candidates that arrived before their description. */
  readonly #early: IceCandidate['candidate'][] = [];
  #makingOffer = false;
  /** Whether the last offer was too large to send. The next one would be as large. */
  #isWithdrawn = false;

  constructor(pc: RTCPeerConnection, options: NegotiationOptions) {
    this.#pc = pc;
    this.#options = options;
    pc.onnegotiationneeded = () => {
      // By the standard, the event fires only in `stable` (W3C WebRTC §4.7.3). Some implementations fire it while an
      // answer is in progress.
      if (pc.signalingState !== 'stable' || this.#isWithdrawn) return;
      // Only the impolite side makes the first offer, because two would collide. The polite side offers later.
      if (!options.polite || pc.remoteDescription) void this.#offer();
    };
    pc.onicecandidate = ({ candidate }) =>
      options.send({ type: 'ice_candidate', candidate: candidate?.toJSON() ?? null });
  }

  /**
   * Replaces messages that may have been lost: sends a new offer that contains all candidates so far. Nothing changes for
   * a peer that received everything. If the peer has a new connection, its answer shows it.
   */
  renew(): void {
    this.#isWithdrawn = false;
    const { localDescription, signalingState } = this.#pc;
    if (signalingState === 'have-local-offer' && localDescription) {
      this.#sendOffer(localDescription.sdp);
    } else if (signalingState === 'stable' && !this.#makingOffer) {
      void this.#offer();
    }
  }

  /**
   * Rolls back an offer that is too large to send, so that the peer's offers can be applied. This end makes no offers
   * until the next exchange of descriptions or `renew`.
   */
  withdraw(): void {
    this.#isWithdrawn = true;
    // Fails if an offer of the peer was applied meanwhile: then there is nothing to roll back.
    this.#pc.setLocalDescription({ type: 'rollback' }).catch(() => {});
  }

  /**
   * Applies the peer's offer or answer. Rejects if it has no certificate. The caller waits for each call before the next.
   */
  async describe({ type, sdp }: WebRtcOffer | WebRtcAnswer): Promise<Refused> {
    const pc = this.#pc;
    const [known, theirs] = [identityOf(pc.remoteDescription?.sdp), identityOf(sdp)];
    // Checked here, because a platform may accept a fingerprint line that does not conform to RFC 8122.
    if (known && !theirs) throw new Error('no certificate');
    if (known && known !== theirs) return 'new_peer';
    this.#isWithdrawn = false;
    const isOffer = type === 'webrtc_offer';
    // If an offer was sent twice, the second answer is ignored.
    if (!isOffer && (pc.signalingState !== 'have-local-offer' || this.#isLate(sdp)))
      return undefined;
    const collision = isOffer && (this.#makingOffer || pc.signalingState === 'have-local-offer');
    if (collision && !this.#options.polite) return undefined;
    try {
      await pc.setRemoteDescription({ type: isOffer ? 'offer' : 'answer', sdp });
      // Applying an answer starts media at once. Applying an offer does not, until it is answered.
      if (this.#options.pin()?.holds(pc) === false) return 'wrong_peer';
      for (const candidate of this.#early.splice(0)) await this.#add(candidate);
      if (isOffer) {
        await pc.setLocalDescription();
        this.#options.send({ type: 'webrtc_answer', sdp: pc.localDescription?.sdp ?? '' });
      }
    } catch (error) {
      this.#fail(error);
    }
    return undefined;
  }

  /**
   * Whether an answer belongs to an earlier offer that was sent twice. The pending offer restarts ICE, but the answer has
   * the old ICE credentials (RFC 8839 §4.4.3 requires new ones).
   */
  #isLate(sdp: string): boolean {
    const pc = this.#pc;
    const restarts = ufragOf(pc.localDescription) !== ufragOf(pc.currentLocalDescription);
    return restarts && ufragOf({ sdp }) === ufragOf(pc.currentRemoteDescription);
  }

  /** Adds a candidate of the peer, or the end of candidates. */
  async candidate(candidate: IceCandidate['candidate']): Promise<void> {
    if (this.#pc.remoteDescription) await this.#add(candidate);
    else if (this.#early.length < MAX_EARLY_CANDIDATES) this.#early.push(candidate);
  }

  async #add(candidate: IceCandidate['candidate']): Promise<void> {
    try {
      await this.#pc.addIceCandidate(candidate as RTCIceCandidateInit | null);
    } catch {
      // The candidate belongs to an ignored offer, or to a generation that an ICE restart ended. If a valid candidate was
      // refused, other candidates or the next ICE restart find a path.
    }
  }

  async #offer(): Promise<void> {
    try {
      this.#makingOffer = true;
      await this.#pc.setLocalDescription();
      const description = this.#pc.localDescription;
      // During the await, an offer of the peer may have been applied instead.
      if (description?.type !== 'offer') return;
      this.#sendOffer(description.sdp);
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#makingOffer = false;
    }
  }

  /**
   * Sends an offer in which this end keeps its DTLS role. If the offer says `actpass`, Firefox switches roles when it
   * answers an ICE restart, and Chromium refuses that answer.
   */
  #sendOffer(sdp: string): void {
    const theirs = setupOf(this.#pc.currentRemoteDescription);
    const inverse = theirs === 'active' ? 'passive' : 'active';
    const role = setupOf(this.#pc.currentLocalDescription) ?? (theirs && inverse) ?? 'actpass';
    this.#options.send({
      type: 'webrtc_offer',
      sdp: sdp.replace(/^a=setup:actpass/gm, `a=setup:${role}`),
    });
  }

  #fail(error: unknown): void {
    // Operations in progress when the connection is closed fail as expected.
    if (this.#pc.signalingState !== 'closed') this.#options.onError(error);
  }
}

/** The DTLS role that a description states (RFC 8842 §5.1); undefined if it leaves the choice to the other end. */
const setupOf = (description: Described): string | undefined =>
  description?.sdp.match(/^a=setup:(active|passive)/m)?.[1];

const ufragOf = (description: Described): string | undefined =>
  description?.sdp.match(/^a=ice-ufrag:(\S+)/m)?.[1];

type Described = { sdp: string } | null | undefined;

/** Limits the candidates kept from a peer that never sends a description. */
const MAX_EARLY_CANDIDATES = 200;
