// Implements an RTCPeerConnection without a network: descriptions, glare and channels as in the specification, and a path
// that tests can interrupt.

import { createHash } from 'node:crypto';

type Handler<Event> = ((event: Event) => void) | null;

/** Maps each fingerprint to the connection with this certificate. */
const connections = new Map<string, FakePeerConnection>();
let made = 0;

export class FakeChannel extends EventTarget {
  readyState = 'connecting';
  bufferedAmount = 0;
  bufferedAmountLowThreshold = 0;
  binaryType = '';
  onopen: Handler<object> = null;
  onmessage: Handler<{ data: unknown }> = null;
  onclose: Handler<object> = null;
  peer: FakeChannel | undefined;

  send(data: unknown): void {
    queueMicrotask(() => this.peer?.onmessage?.({ data }));
  }
}

export class FakePeerConnection {
  readonly number = ++made;
  readonly certificate = Buffer.from(String(this.number));
  fingerprint = fingerprintOf(this.certificate);
  /** Set by a test: each description has another session id, as in some implementations. */
  unsteady = false;
  readonly channel = new FakeChannel();
  readonly configurations: unknown[] = [];
  readonly candidates: unknown[] = [];
  signalingState = 'stable';
  connectionState = 'new';
  localDescription: { type: string; sdp: string } | null = null;
  remoteDescription: { type: string; sdp: string } | null = null;
  onnegotiationneeded: (() => void) | null = null;
  onicecandidate: Handler<{ candidate: { toJSON(): object } | null }> = null;
  onconnectionstatechange: (() => void) | null = null;
  readonly sctp = {
    transport: {
      iceTransport: { onselectedcandidatepairchange: null as Handler<object> },
      getRemoteCertificates: () => this.#presented(),
    },
  };
  /** A test adds tracks with their own transport. */
  readonly receivers: { transport: { getRemoteCertificates(): ArrayBuffer[] } }[] = [];
  /** The candidate type of both ends in the statistics. */
  candidateType = 'host';
  restarts = 0;
  /** Set by a test: there are no statistics. */
  unreadable = false;
  /** Set by a test: no description of its own can be made. */
  silent = false;
  /** Set by a test: the next description is refused. */
  refusing = false;
  #version = 0;
  #needed = false;

  constructor(configuration: unknown) {
    this.configurations.push(configuration);
    connections.set(this.fingerprint, this);
  }

  createDataChannel(): FakeChannel {
    this.#need();
    return this.channel;
  }

  setConfiguration(configuration: unknown): void {
    if (this.refusing) throw new Error('refused');
    this.configurations.push(configuration);
  }

  restartIce(): void {
    this.restarts += 1;
    this.#need();
  }

  async setLocalDescription(description?: { type: string }): Promise<void> {
    await this.#step();
    if (description?.type === 'rollback') {
      if (this.signalingState !== 'have-local-offer') throw new Error('nothing to roll back');
      this.signalingState = 'stable';
      // Like browsers: the offered changes still need negotiation.
      return this.#need();
    }
    if (this.silent) throw new Error('silent');
    const type = this.signalingState === 'have-remote-offer' ? 'answer' : 'offer';
    this.#needed = false;
    const lines = [
      'v=0',
      `o=- ${this.unsteady ? crypto.getRandomValues(new Uint32Array(1)) : this.number} ${++this.#version} IN IP4 0.0.0.0`,
      `a=fingerprint:${this.fingerprint}`,
    ];
    this.localDescription = { type, sdp: `${lines.join('\r\n')}\r\n` };
    this.signalingState = type === 'offer' ? 'have-local-offer' : 'stable';
    const candidate = { toJSON: () => ({ candidate: `candidate:${this.number}`, sdpMid: '0' }) };
    setImmediate(() => {
      this.onicecandidate?.({ candidate });
      this.onicecandidate?.({ candidate: null });
    });
    this.#settle();
  }

  async setRemoteDescription(description: { type: string; sdp: string }): Promise<void> {
    await this.#step();
    if (!fingerprintIn(description.sdp)) throw new Error('no certificate');
    // Rolls back its own offer, which must be made again.
    if (description.type === 'offer' && this.signalingState === 'have-local-offer') {
      this.#needed = true;
    }
    this.remoteDescription = description;
    this.signalingState = description.type === 'offer' ? 'have-remote-offer' : 'stable';
    this.#settle();
  }

  async addIceCandidate(candidate: unknown): Promise<void> {
    if (this.remoteDescription === null) throw new Error('no remote description');
    this.candidates.push(candidate);
    if (JSON.stringify(candidate).includes('broken')) throw new Error('broken candidate');
  }

  async getStats(): Promise<RTCStatsReport> {
    if (this.unreadable) throw new Error('unreadable');
    const ends = { localCandidateId: 'C', remoteCandidateId: 'C' };
    const entries = [
      { id: 'T', type: 'transport', selectedCandidatePairId: 'P' },
      { id: 'P', type: 'candidate-pair', ...ends, currentRoundTripTime: 0.012 },
      { id: 'C', type: 'local-candidate', candidateType: this.candidateType },
    ];
    return new Map(entries.map((entry) => [entry.id, entry])) as RTCStatsReport;
  }

  close(): void {
    this.signalingState = 'closed';
    this.connectionState = 'closed';
    connections.delete(this.fingerprint);
  }

  getReceivers(): object[] {
    return this.receivers;
  }

  /** Changes the state of the path. */
  become(connectionState: string): void {
    this.connectionState = connectionState;
    this.onconnectionstatechange?.();
  }

  #presented(): ArrayBuffer[] {
    const peer = connections.get(fingerprintIn(this.remoteDescription?.sdp));
    return this.connectionState === 'connected' && peer ? [bufferOf(peer.certificate)] : [];
  }

  async #step(): Promise<void> {
    await Promise.resolve();
    if (this.refusing || this.signalingState === 'closed') throw new Error('refused');
  }

  #need(): void {
    this.#needed = true;
    queueMicrotask(() => {
      if (this.#needed && this.signalingState === 'stable') this.onnegotiationneeded?.();
    });
  }

  /** Connects once both have each other's description. */
  #settle(): void {
    if (this.signalingState !== 'stable') return;
    if (this.#needed) this.#need();
    const peer = connections.get(fingerprintIn(this.remoteDescription?.sdp));
    if (peer?.signalingState !== 'stable') return;
    if (fingerprintIn(peer.remoteDescription?.sdp) !== this.fingerprint) return;
    this.channel.peer = peer.channel;
    peer.channel.peer = this.channel;
    for (const side of [this, peer]) {
      if (side.connectionState !== 'connected') side.become('connected');
      if (side.channel.readyState === 'open') continue;
      side.channel.readyState = 'open';
      side.channel.onopen?.({});
    }
  }
}

const fingerprintIn = (sdp = '') => /^a=fingerprint:(.*)\r$/m.exec(sdp)?.[1] ?? '';

export const bufferOf = (bytes: Uint8Array): ArrayBuffer => Uint8Array.from(bytes).buffer;

function fingerprintOf(certificate: Buffer): string {
  const digest = createHash('sha256').update(certificate).digest('hex').toUpperCase();
  return `sha-256 ${digest.replace(/..(?=.)/g, '$&:')}`;
}
