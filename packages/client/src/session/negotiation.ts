// Perfect negotiation on one RTCPeerConnection (W3C WebRTC §10.7), with trickle ICE (RFC 8838).
import type { ClientMessage, IceCandidate, WebRtcAnswer, WebRtcOffer } from '@couplet/protocol';
import { identityOf } from './peer-identity.js';

export interface NegotiationOptions {
  /** The one that gives way when both offer at once. It also leaves the first offer to the other. */
  polite: boolean;
  /** Sends to the peer, or to nobody while the peer cannot be reached: `renew` makes up for that. */
  send(message: ClientMessage): void;
  /** The certificate that the users have verified, if they have. */
  pin(): Pin | undefined;
  /** A description could not be made or applied. */
  onError(cause: unknown): void;
}

/** The verified certificate of the peer. */
export interface Pin {
  /** Whether this description, as it came, is of the verified peer and cannot be taken for another's. */
  admits(sdp: string): boolean;
  /** Whether the connection, as the platform sees it, is with the verified peer alone. */
  holds(pc: RTCPeerConnection): boolean;
}

/**
 * Why a description was not taken. One of another peer connection (`stranger`) needs another one here too. One that is not
 * of the verified peer (`impostor`) ends the session.
 */
export type Untaken = 'stranger' | 'impostor' | undefined;

export class Negotiation {
  readonly #pc: RTCPeerConnection;
  readonly #options: NegotiationOptions;
  /** Candidates that came before the description that they belong to. */
  readonly #early: IceCandidate['candidate'][] = [];
  #makingOffer = false;
  /** An offer could not be sent, and would be the same again. */
  #isWithdrawn = false;

  constructor(pc: RTCPeerConnection, options: NegotiationOptions) {
    this.#pc = pc;
    this.#options = options;
    pc.onnegotiationneeded = () => {
      // The standard asks only then (W3C WebRTC §4.7.3); some implementations ask in the middle of an answer.
      if (pc.signalingState !== 'stable' || this.#isWithdrawn) return;
      // Two first offers would only collide. What the polite side wants to add follows the first exchange.
      if (!options.polite || pc.remoteDescription !== null) void this.#offer();
    };
    pc.onicecandidate = ({ candidate }) =>
      options.send({ type: 'ice_candidate', candidate: candidate?.toJSON() ?? null });
  }

  /**
   * Makes up for what went to nobody: offers again, with every candidate found since. To a peer that has missed nothing
   * this changes nothing; one that began anew gives itself away by its answer.
   */
  renew(): void {
    this.#isWithdrawn = false;
    const { localDescription, signalingState } = this.#pc;
    if (signalingState === 'have-local-offer' && localDescription !== null) {
      this.#sendOffer(localDescription.sdp);
    } else if (signalingState === 'stable' && !this.#makingOffer) {
      void this.#offer();
    }
  }

  /**
   * Takes back an offer that is too large to be sent, so that offers of the peer are taken again. Until the next exchange
   * of descriptions or `renew`, nothing is offered.
   */
  withdraw(): void {
    this.#isWithdrawn = true;
    // Fails if the peer has offered meanwhile: then there is nothing to take back.
    this.#pc.setLocalDescription({ type: 'rollback' }).catch(() => {});
  }

  /** Takes an offer or an answer of the peer; rejects where it has no certificate. One at a time: the caller waits for each. */
  async describe({ type, sdp }: WebRtcOffer | WebRtcAnswer): Promise<Untaken> {
    const pc = this.#pc;
    const [known, theirs] = [identityOf(pc.remoteDescription?.sdp), identityOf(sdp)];
    // Not left to the platform, which may find a certificate in a line that is not one by RFC 8122.
    if (known && !theirs) throw new Error('no certificate');
    if (known && known !== theirs) return 'stranger';
    this.#isWithdrawn = false;
    const isOffer = type === 'webrtc_offer';
    // The answer to an offer that was sent twice comes twice.
    if (!isOffer && (pc.signalingState !== 'have-local-offer' || this.#isLate(sdp)))
      return undefined;
    const collision = isOffer && (this.#makingOffer || pc.signalingState === 'have-local-offer');
    if (collision && !this.#options.polite) return undefined;
    try {
      await pc.setRemoteDescription({ type: isOffer ? 'offer' : 'answer', sdp });
      // An answer makes media flow at once. An offer does not before it is answered.
      if (this.#options.pin()?.holds(pc) === false) return 'impostor';
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
   * Whether an answer is to an offer that was sent twice before the pending one: the pending offer restarts ICE, and the
   * answer has the old credentials (RFC 8839 §4.4.3 asks for new ones).
   */
  #isLate(sdp: string): boolean {
    const pc = this.#pc;
    const restarts = ufragOf(pc.localDescription) !== ufragOf(pc.currentLocalDescription);
    return restarts && ufragOf({ sdp }) === ufragOf(pc.currentRemoteDescription);
  }

  /** Takes a candidate of the peer, or the end of them. */
  async candidate(candidate: IceCandidate['candidate']): Promise<void> {
    if (this.#pc.remoteDescription !== null) await this.#add(candidate);
    else if (this.#early.length < MAX_EARLY_CANDIDATES) this.#early.push(candidate);
  }

  async #add(candidate: IceCandidate['candidate']): Promise<void> {
    try {
      await this.#pc.addIceCandidate(candidate as RTCIceCandidateInit | null);
    } catch {
      // Of an offer that was ignored, or of a generation that an ICE restart has ended: worth nothing. And where a good
      // candidate is refused, the others, or the restart after a failure, find the way.
    }
  }

  async #offer(): Promise<void> {
    try {
      this.#makingOffer = true;
      await this.#pc.setLocalDescription();
      const description = this.#pc.localDescription;
      // Meanwhile the peer may have offered, and this side given way.
      if (description?.type !== 'offer') return;
      this.#sendOffer(description.sdp);
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#makingOffer = false;
    }
  }

  /**
   * Sends an offer in which this end keeps its DTLS role. Left with the choice (`actpass`), Firefox takes the other role
   * when it answers an ICE restart, and Chromium refuses that answer.
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
    // What was under way when the connection was closed is nobody's loss.
    if (this.#pc.signalingState !== 'closed') this.#options.onError(error);
  }
}

/** The DTLS role that a description states (RFC 8842 §5.1), unless it leaves the choice to the other end. */
/** The DTLS role that a description states (RFC 8842 §5.1), unless it leaves the choice to the other end. */
const setupOf = (description: Described): string | undefined =>
  description?.sdp.match(/^a=setup:(active|passive)/m)?.[1];

const ufragOf = (description: Described): string | undefined =>
  description?.sdp.match(/^a=ice-ufrag:(\S+)/m)?.[1];

type Described = { sdp: string } | null | undefined;

/** A bound for a peer that sends candidates and never a description. */
const MAX_EARLY_CANDIDATES = 200;
