// Sends and receives tracks over a session, and implements calls. Transceivers are reused, so descriptions do not grow.
import { systemClock } from './clock.js';
import { Emitter } from './emitter.js';
import { parsed } from './json.js';
import { randomId } from './pairing/pairing-client.js';
import type { PeerSession } from './session/peer-session.js';

/** A track that this end sends. */
export interface SentTrack {
  /** The track. Use `setMuted` to mute it. */
  readonly track: MediaStreamTrack;
  /** The name that the sender gave it, for example `camera` or `screen`. */
  readonly name: string;
  /** Whether it is muted: it is still sent, as silence or black frames. */
  readonly muted: boolean;
}

/** A track that the peer sends. */
export interface ReceivedTrack extends SentTrack {
  /** All received tracks of this name, for the `srcObject` of an element. */
  readonly stream: MediaStream;
}

/**
 * The state of a call. `calling`: this end calls, and the peer has not answered. `ringing`: the peer calls, and this end has
 * not answered.
 */
export type CallState = 'none' | 'calling' | 'ringing' | 'active';

/** Events of `Media`, with the arguments of their listeners. */
export interface MediaEvents {
  /** The peer sends a new track. A listener that is added later gets all tracks that the peer sends at that time. */
  track: [ReceivedTrack];
  /** `sent`, `received` or `callState` may have changed. */
  change: [];
  /**
   * The state of the call changed: the new state, and the one before. From `calling` to `none`: the peer declined, or
   * `isUnanswered` is true: nobody answered in time. From `ringing` to `none`: the peer canceled its call, or its time for an
   * answer has passed. A listener that is added while the state is not `none` gets it at once.
   */
  call: [state: CallState, before: CallState, isUnanswered: boolean];
}

/** The status of an end. Each change is sent to the other end as a complete status, in JSON with `tracks` as an object. */
interface Status {
  /** The id of the call that this end makes or has answered. */
  call?: string | undefined;
  /** The id of the last call that this end declined or ended. */
  ended?: string | undefined;
  /** The number of tracks of each kind that this end sends, or will send in the call. */
  counts: Readonly<Record<Kind, number>>;
  /** The sent tracks, by the `mid` of their transceivers. */
  tracks: ReadonlyMap<string, { name: string; muted: boolean }>;
}

type Kind = (typeof KINDS)[number];
const KINDS = ['audio', 'video'] as const;

/** The most transceivers of a kind that are created for a peer. */
const MAX_COUNT = 8;

/** Time for the answer to a call. */
const RING_SECONDS = 45;

/** A longer timer would end at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Time limit for the first status of a peer that uses this module. */
const STATUS_WITHIN_MS = 2000;

interface Sent {
  track: MediaStreamTrack;
  readonly name: string;
  muted: boolean;
  /** Undefined while the track waits for the connection or for an answer. */
  sender?: RTCRtpSender | undefined;
}

/**
 * The id of the data channel for `Status`, the largest that Firefox supports without a further negotiation. Platforms count the
 * ids of other channels up by two, so one end can have 127 of them at once.
 */
const CHANNEL_ID = 255;

const all = new WeakMap<PeerSession, Media>();

/**
 * Returns the tracks and calls of a session, always the same object. Use it at both ends. Import it from
 * `@couplet/client/media`.
 */
export function mediaOf(session: PeerSession): Media {
  const media = all.get(session) ?? new Media(session);
  all.set(session, media);
  return media;
}

/**
 * Tracks and calls of a session. If there is a new peer connection, for example after the peer's page was reloaded, the
 * tracks are sent again, and a call is made again.
 */
export class Media extends Emitter<MediaEvents> {
  readonly #session: PeerSession;
  #sent: Sent[] = [];
  /** The streams of sent tracks, for a peer that reads them from its RTCPeerConnection. */
  readonly #streams = new Map<string, MediaStream>();
  /** All senders of this connection. Those without a track are used again. */
  readonly #senders = new Set<RTCRtpSender>();
  #received: readonly ReceivedTrack[] = [];
  #channel: RTCDataChannel | undefined;
  #call: string | undefined;
  #ended: string | undefined;
  /** Undefined until the peer has sent its status over this connection. */
  #theirs: Status | undefined;
  #callState: CallState = 'none';
  #ringMs = 0;
  #cancelTimer: (() => void) | undefined;
  #isUnanswered = false;
  /** The last status that was sent over this channel. */
  #told = '';
  /** Added listeners that did not get the current state yet. */
  readonly #late = new Set<{ name: keyof MediaEvents; listener: (...args: never) => void }>();
  /** Called when the connection is replaced or lost. */
  readonly #ends = new Set<() => void>();
  /** Whether this end may create transceivers. */
  #creates = false;

  /** @internal Applications call `mediaOf`. */
  constructor(session: PeerSession) {
    super();
    this.#session = session;
    session.on('peer', (pc) => this.#follow(pc));
    session.on('peer-left', () => this.#leave());
    session.on('state', (state) => state === 'closed' && this.#leave());
    if (session.peer) this.#follow(session.peer);
  }

  /** The tracks that this end sends, or will send once the peer is connected or has answered. */
  get sent(): readonly SentTrack[] {
    return this.#sent.map(({ track, name, muted }) => ({ track, name, muted }));
  }

  /** The tracks that the peer sends. */
  get received(): readonly ReceivedTrack[] {
    return this.#received;
  }

  /** The state of the call. */
  get callState(): CallState {
    return this.#callState;
  }

  /** The kinds of tracks that the peer sends in its call, once the call is answered. */
  get callKinds(): readonly ('audio' | 'video')[] {
    return KINDS.filter((kind) => this.#theirs?.counts[kind]);
  }

  /** Adds a listener. It also gets the current state: see `MediaEvents`. */
  override on<Name extends keyof MediaEvents>(
    name: Name,
    listener: (...args: MediaEvents[Name]) => void,
  ): () => void {
    const emits: MediaEvents[Name][] = [];
    if (name === 'track') emits.push(...this.#received.map((each) => [each] as MediaEvents[Name]));
    if (name === 'call' && this.#callState !== 'none') {
      emits.push([this.#callState, 'none', false] as MediaEvents[Name]);
    }
    const late = { name, listener };
    this.#late.add(late);
    // Deferred, because the caller does not have the function that removes the listener yet.
    queueMicrotask(() => {
      for (const args of emits) if (this.#late.has(late)) listener(...args);
      this.#late.delete(late);
    });
    return super.on(name, listener);
  }

  /** Removes a listener that was added by `on`. */
  override off<Name extends keyof MediaEvents>(
    name: Name,
    listener: (...args: MediaEvents[Name]) => void,
  ): void {
    for (const late of this.#late) {
      if (late.name === name && late.listener === listener) this.#late.delete(late);
    }
    super.off(name, listener);
  }

  /** Sends all tracks of a stream: see `addTrack`. */
  addStream(stream: MediaStream, name?: string): void {
    for (const track of stream.getTracks()) this.addTrack(track, name);
  }

  /** Stops sending the tracks of a stream: see `removeTrack`. */
  removeStream(stream: MediaStream): void {
    for (const track of stream.getTracks()) this.removeTrack(track);
  }

  /**
   * Sends a track until it is removed or ends, for example because the user stopped sharing the screen. While this end
   * is `calling`, the track waits for the answer. The peer gets the name, which can be any text, for example `screen`.
   */
  addTrack(track: MediaStreamTrack, name = 'camera'): void {
    if (this.#sent.some((sent) => sent.track === track)) return;
    this.#sent.push({ track, name, muted: !track.enabled });
    this.#watch(track);
    this.#update();
  }

  /** Stops sending a track. It stays live: stop it to release the device. The next track of its kind takes its place. */
  removeTrack(track: MediaStreamTrack): void {
    this.#release(this.#sent.filter((sent) => sent.track === track));
    this.#update();
  }

  /**
   * Replaces a sent track by another one of the same kind, which keeps the name and is muted if the first one was. The peer
   * gets no new track. If the platform cannot replace the track, rejects with its error and keeps the first track.
   */
  async replaceTrack(track: MediaStreamTrack, by: MediaStreamTrack): Promise<void> {
    const sent = this.#sent.find((each) => each.track === track);
    if (!sent) return;
    by.enabled = !sent.muted;
    // At once, because the connection may be replaced meanwhile. The next one then sends the new track.
    sent.track = by;
    this.#watch(by);
    const { sender } = sent;
    let end = () => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.#ends.add(end);
    try {
      // Platforms may never settle the promise of a connection that is closed.
      await Promise.race([sender?.replaceTrack(by), ended]);
    } catch (error) {
      if (sender === sent.sender && this.#session.peer?.signalingState !== 'closed') {
        sent.track = track;
        throw error;
      }
    } finally {
      this.#ends.delete(end);
    }
    this.#update();
  }

  /** Mutes or unmutes a sent track, and tells the peer. */
  setMuted(track: MediaStreamTrack, muted: boolean): void {
    track.enabled = !muted;
    for (const sent of this.#sent) if (sent.track === track) sent.muted = muted;
    this.#update();
  }

  /**
   * Calls the peer, as soon as it is connected. The tracks of the stream are sent once the peer has answered. If both call
   * at the same time, both have answered. Does nothing if the session is closed.
   *
   * @param ringSeconds the call ends if the peer has not answered by then
   */
  call(stream?: MediaStream, { ringSeconds = RING_SECONDS } = {}): void {
    if (this.#session.state === 'closed') return;
    this.#ringMs = Math.min(ringSeconds * 1000, MAX_TIMER_MS);
    this.#call ??= this.#calling() ?? randomId();
    if (stream) this.addStream(stream);
    this.#update();
  }

  /** Answers the call of the peer. Does nothing if the state is not `ringing`, because the peer may have canceled its call. */
  answer(stream?: MediaStream): void {
    if (this.#callState === 'ringing') this.call(stream);
  }

  /** Ends, declines or cancels the call, and removes all tracks. They stay live: stop them to release the devices. */
  hangUp(): void {
    this.#end(this.#call ?? this.#calling());
    this.#update();
  }

  #follow(pc: RTCPeerConnection): void {
    const channel = pc.createDataChannel('couplet-media', { negotiated: true, id: CHANNEL_ID });
    this.#disconnect();
    this.#channel = channel;
    const update = () => channel === this.#channel && this.#update();
    // If both ends add sections at once and Firefox's offer wins, Chromium can never apply it, because it keeps the header
    // extensions of its own. So one end creates all transceivers, unless the other does not use this module.
    this.#creates = this.#session.isInitiator === true;
    channel.onopen = () => {
      systemClock.after(STATUS_WITHIN_MS, () => {
        if (channel !== this.#channel || this.#theirs) return;
        this.#creates = true;
        this.#update();
      });
      update();
    };
    channel.onmessage = ({ data }) => channel === this.#channel && this.#take(data);
    pc.addEventListener('signalingstatechange', update);
    update();
  }

  #disconnect(): void {
    for (const end of this.#ends) end();
    this.#channel = this.#theirs = undefined;
    this.#told = '';
    this.#senders.clear();
    for (const sent of this.#sent) sent.sender = undefined;
  }

  #leave(): void {
    this.#end(this.#call);
    this.#disconnect();
    this.#update();
  }

  #take(data: unknown): void {
    const theirs = statusOf(data);
    if (!theirs) return;
    // The peer may have begun to listen after this end sent its status.
    if (!this.#theirs) this.#told = '';
    this.#theirs = theirs;
    if (theirs.ended === this.#call) this.#end(this.#call);
    const calling = this.#calling();
    // Both called at the same time: both ends choose the same id.
    if (this.#call && calling && calling < this.#call) this.#call = calling;
    this.#update();
  }

  /** The id of the peer's call, unless this end has ended it. */
  #calling(): string | undefined {
    const call = this.#theirs?.call;
    return call === this.#ended ? undefined : call;
  }

  #end(call: string | undefined): void {
    if (!call) return;
    if (this.#call) this.#release(this.#sent);
    this.#call = undefined;
    this.#ended = call;
    // If both called, the peer may not have chosen the id yet.
    if (this.#theirs) this.#theirs.call = undefined;
  }

  #release(released: readonly Sent[]): void {
    this.#sent = this.#sent.filter((sent) => !released.includes(sent));
    for (const { sender } of released) void replace(sender, null);
  }

  #watch(track: MediaStreamTrack): void {
    track.addEventListener('ended', () => this.removeTrack(track), { once: true });
  }

  /** Brings the connection, the peer and the listeners up to date. */
  #update(): void {
    const before = this.#callState;
    const isCalled = this.#calling() !== undefined;
    if (this.#call) this.#callState = isCalled ? 'active' : 'calling';
    else this.#callState = isCalled ? 'ringing' : 'none';
    if (this.#callState !== 'calling') {
      this.#cancelTimer?.();
      this.#cancelTimer = undefined;
    } else {
      this.#cancelTimer ??= systemClock.after(this.#ringMs, () => {
        this.#isUnanswered = true;
        this.hangUp();
        this.#isUnanswered = false;
      });
    }
    const isOpen = this.#channel?.readyState === 'open';
    const pc = this.#session.peer;
    if (isOpen && pc && this.#callState !== 'calling') this.#send(pc);
    if (isOpen) this.#tell();
    this.#receive();
    if (before !== this.#callState) this.emit('call', this.#callState, before, this.#isUnanswered);
    this.emit('change');
  }

  #send(pc: RTCPeerConnection): void {
    // Browsers never shorten a description, so a transceiver that sends no track is used before there is a new one.
    for (const sent of this.#sent.filter(({ sender }) => !sender)) {
      const free = pc.getTransceivers().find(({ sender, receiver, direction }) => {
        const isUsed = this.#sent.some((each) => each.sender === sender);
        const isOurs = !sender.track || this.#senders.has(sender);
        return isOurs && !isUsed && direction !== 'stopped' && isOf(sent.track.kind)({ receiver });
      });
      if (!free && !this.#creates) continue;
      const stream = this.#stream(sent.name);
      sent.sender = free?.sender ?? pc.addTrack(sent.track, stream);
      this.#senders.add(sent.sender);
      if (!free) continue;
      void replace(free.sender, sent.track);
      if (free.direction.includes('send')) continue;
      free.direction = 'sendrecv';
      free.sender.setStreams?.(stream);
    }
    if (!this.#creates) return;
    for (const kind of KINDS) {
      const wanted = Math.min(this.#theirs?.counts[kind] ?? 0, MAX_COUNT);
      for (let n = pc.getTransceivers().filter(isOf(kind)).length; n < wanted; n++) {
        pc.addTransceiver(kind, { direction: 'recvonly' });
      }
    }
  }

  /** The stream of sent tracks of this name. Platforms synchronize the tracks of a stream. */
  #stream(name: string): MediaStream {
    const stream = this.#streams.get(name) ?? new MediaStream();
    this.#streams.set(name, stream);
    return stream;
  }

  #tell(): void {
    const transceivers = this.#session.peer?.getTransceivers() ?? [];
    const tracks = this.#sent.flatMap(({ sender, name, muted }) => {
      const mid = transceivers.find((each) => each.sender === sender)?.mid;
      return mid ? [[mid, { name, muted }]] : [];
    });
    const countOf = (kind: Kind) => this.#sent.filter(({ track }) => track.kind === kind).length;
    const counts = { audio: countOf('audio'), video: countOf('video') };
    const status = { call: this.#call, ended: this.#ended, counts };
    const text = JSON.stringify({ ...status, tracks: Object.fromEntries(tracks) });
    if (text === this.#told) return;
    this.#told = text;
    this.#channel?.send(text);
  }

  #receive(): void {
    const before = this.#received;
    const streams = new Map(before.map(({ name, stream }) => [name, stream]));
    const received: ReceivedTrack[] = [];
    for (const { mid, receiver, currentDirection } of this.#session.peer?.getTransceivers() ?? []) {
      if (!mid || !currentDirection?.includes('recv')) continue;
      // A peer without this module sends no status. A peer with it may send the status of its tracks later.
      const status = this.#theirs ? this.#theirs.tracks.get(mid) : { name: 'camera', muted: false };
      if (!status) continue;
      const stream = streams.get(status.name) ?? new MediaStream();
      streams.set(status.name, stream);
      received.push({ track: receiver.track, ...status, stream });
    }
    const among = (list: readonly ReceivedTrack[]) => (one: ReceivedTrack) =>
      list.some(({ track, name }) => track === one.track && name === one.name);
    const added = received.filter((each) => !among(before)(each));
    for (const each of before) if (!among(received)(each)) each.stream.removeTrack(each.track);
    for (const each of added) each.stream.addTrack(each.track);
    this.#received = received;
    for (const each of added) this.emit('track', each);
  }
}

/** Replaces the track of a sender. Fails only if the connection was closed, and then nothing is sent. */
const replace = (sender: RTCRtpSender | undefined, track: MediaStreamTrack | null) =>
  sender?.replaceTrack(track).catch(() => {});

const isOf =
  (kind: string) =>
  ({ receiver }: Pick<RTCRtpTransceiver, 'receiver'>): boolean =>
    receiver.track.kind === kind;

/** Reads the status of the peer; undefined if it is not one. */
function statusOf(data: unknown): Status | undefined {
  const status = typeof data === 'string' ? parsed(data) : undefined;
  if (!status) return undefined;
  // An empty text is no id: a call with it could not be declined.
  const text = (value: unknown) => (value && typeof value === 'string' ? value : undefined);
  const entries = (value: unknown): [string, Record<string, unknown> | null][] =>
    Object.entries(typeof value === 'object' ? (value ?? {}) : {});
  const tracks = entries(status.tracks).map(
    ([mid, track]) =>
      [mid, { name: text(track?.name) ?? '', muted: track?.muted === true }] as const,
  );
  const counts = new Map<string, unknown>(entries(status.counts));
  return {
    call: text(status.call),
    ended: text(status.ended),
    counts: { audio: Number(counts.get('audio')) || 0, video: Number(counts.get('video')) || 0 },
    tracks: new Map(tracks),
  };
}
