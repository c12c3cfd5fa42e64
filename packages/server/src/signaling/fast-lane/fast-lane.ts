// Plain messages for a peer in this process, taken out of what was read from a socket before ws sees it.
//
//   read:  │ plain │ plain │ plain │ anything else … │
//          └─────────┬───────────┘ └───────┬─────────┘
//                passed on         left to ws, with what follows it in the next 4 KiB
//
// ws reads its part as if it were all there is. Where its frames end is all that has to be known of it: the lane is open
// again where a frame begins. Where that can no longer be told, ws has the connection for good.
//
// Every read of a connection comes by here, so this is also where an address that has used up its budget waits.
import type { Duplex } from 'node:stream';
import type { Clock } from '../../base/clock.js';
import { COST, type Reader } from '../../limits/address-budget.js';
import type { Stalls } from '../../limits/event-loop-stalls.js';
import type { Backplane } from '../backplane.js';
import type { Connections } from '../connections.js';
import type { SignalingCounters } from '../counters.js';
import type { Connection } from '../websocket/connection.js';
import { type Corking, readsAtOnce } from '../websocket/corking.js';
import type { Inbox } from '../websocket/receive-queue.js';
import { FINAL_TEXT, headBytesOf, writeHead } from '../websocket/text-frame.js';
import { viewOf } from '../websocket/tick-buffer.js';
import { ClientFrame, endOfFrames } from './client-frame.js';
import { MAX_PLAIN_BYTES, type PlainType, plainForward } from './plain-forward.js';

const LANE = Symbol('lane');

type LaneStream = Duplex & { [LANE]?: FastLane };
type Listener = (this: Duplex, read: Buffer) => void;

/** What all lanes share. */
export interface FastLaneDeps {
  backplane: Pick<Backplane, 'reaches'>;
  connections: Pick<Connections, 'get'>;
  corking: Corking;
  counters: SignalingCounters;
  clock: Pick<Clock, 'monotonic'>;
  stalls: Pick<Stalls, 'total'>;
  maxMessageBytes: number;
}

/** Bytes that ws gets at a time: between two pieces the budget is looked at. */
const PIECE_BYTES = 4096;

/** A byte that nobody reads any more. */
const DISCARDED_BYTE_COST = 0.0005;

/** The frame that is looked at. */
const frame = new ClientFrame();

/** The frames of the present run, by type. */
const inRun: Record<PlainType, number> = { ice_candidate: 0, webrtc_offer: 0, webrtc_answer: 0 };

export class FastLane implements Reader {
  readonly #stream: LaneStream;
  readonly #connection: Connection;
  readonly #inbox: Inbox;
  readonly #deps: FastLaneDeps;
  readonly #ws: Listener | undefined;
  /** Whether frames may be passed on without ws: never where what was written is not read at once. */
  #isOpen: boolean;
  #isClosed = false;
  /** Bytes that are still to come of the last frame that was left to ws. */
  #owed = 0;
  /** What was read and has to wait for the budget of the address. */
  #kept: Buffer | undefined;
  /** When it began to wait; undefined: it does not. */
  #keptAt: number | undefined;

  /** Puts itself in the place of ws, which listens to the stream's data already. */
  constructor(stream: Duplex, connection: Connection, inbox: Inbox, deps: FastLaneDeps) {
    this.#stream = stream;
    this.#connection = connection;
    this.#inbox = inbox;
    this.#deps = deps;
    const listeners = stream.listeners('data');
    this.#isOpen = readsAtOnce(stream);
    // Any other number is not of the ws that is known here: it goes on alone.
    if (listeners.length !== 1) return;
    this.#ws = listeners[0] as Listener;
    this.#stream[LANE] = this;
    stream.off('data', this.#ws);
    stream.on('data', onData);
  }

  /** For when ws has failed the connection, and reads no more: what still comes is discarded, at the same cost. */
  close(): void {
    this.#isClosed = true;
    this.#kept = undefined;
  }

  receive(read: Buffer): void {
    const { budget } = this.#connection;
    budget.charge(COST.read + (this.#isClosed ? read.length * DISCARDED_BYTE_COST : 0));
    if (this.#kept !== undefined || budget.held) this.#keep(read);
    else this.#go(read);
  }

  /** Its turn has come. */
  release(): void {
    const kept = this.#kept;
    this.#kept = undefined;
    this.#inbox.excuse(this.#deps.clock.monotonic() - (this.#keptAt as number));
    this.#keptAt = undefined;
    this.#connection.resume();
    if (kept !== undefined) this.#go(kept);
  }

  /** Lets what was read wait, and reads no further. */
  #keep(read: Buffer): void {
    if (!this.#isClosed) {
      this.#kept = this.#kept === undefined ? read : Buffer.concat([this.#kept, read]);
    }
    if (this.#keptAt !== undefined) return;
    this.#keptAt = this.#deps.clock.monotonic();
    this.#connection.pause();
    this.#connection.budget.wait(this);
  }

  #go(read: Buffer): void {
    const { budget } = this.#connection;
    let left = read;
    try {
      while (!this.#isClosed && !budget.held) {
        const taken = this.#take(left);
        if (taken === left.length) return;
        left = left.subarray(taken);
      }
      if (!this.#isClosed) this.#keep(left);
    } catch (error) {
      this.#inbox.fail(error);
    }
  }

  /** Takes frames from the beginning of what was read; returns how many bytes. */
  #take(read: Buffer): number {
    const peer = this.#owed === 0 && this.#isOpen ? this.#peer() : undefined;
    const taken = peer === undefined ? 0 : this.#passOn(read, peer);
    if (taken === read.length || this.#connection.budget.held) return taken;
    return taken + this.#leave(taken === 0 ? read : read.subarray(taken));
  }

  /** Who may be sent to without asking anybody; nobody while a message of the sender is under way. */
  #peer(): Connection | undefined {
    const { backplane, connections } = this.#deps;
    const { id, seat, open } = this.#connection;
    const peerId = seat?.peerId ?? null;
    if (peerId === null || !open || this.#inbox.busy) return undefined;
    return backplane.reaches(id, peerId) ? connections.get(peerId) : undefined;
  }

  /** Passes on the frames from the beginning that it may; returns the bytes that they take up. */
  #passOn(read: Buffer, peer: Connection): number {
    const { corking, counters, clock, stalls } = this.#deps;
    const { frames } = corking;
    const { budget } = this.#connection;
    const source = viewOf(read);
    const now = clock.monotonic();
    const stalledMs = stalls.total(now);
    let at = 0;
    frames.beginRun();
    while (!budget.held && frame.read(read, at) && frame.end <= read.length && this.#mayBePlain()) {
      if (!frames.fits(this.#signedBytes())) {
        this.#sendRun(peer);
        corking.release();
        frames.beginRun();
      }
      const type = this.#sign(source);
      if (type === undefined) break;
      at = frame.end;
      this.#connection.unanswered = 0;
      if (!this.#inbox.admit(frame.payloadBytes, now, stalledMs)) break;
      counters.messages[type] += 1;
      inRun[type] += 1;
      frames.add(this.#signedBytes());
    }
    this.#sendRun(peer);
    return at;
  }

  /** Sends the frames that were signed since the last run; they are forwarded if the peer takes them. */
  #sendRun(peer: Connection): void {
    const { corking, counters } = this.#deps;
    const run = corking.frames.run();
    if (run.length === 0) return;
    const { ice_candidate, webrtc_offer, webrtc_answer } = inRun;
    if (peer.sendLent(run)) {
      counters.forwards.ice_candidate += ice_candidate;
      counters.forwards.webrtc_offer += webrtc_offer;
      counters.forwards.webrtc_answer += webrtc_answer;
    } else counters.drops.peer_gone += ice_candidate + webrtc_offer + webrtc_answer;
    inRun.ice_candidate = 0;
    inRun.webrtc_offer = 0;
    inRun.webrtc_answer = 0;
  }

  #mayBePlain(): boolean {
    const { first, payloadBytes } = frame;
    const maxBytes = Math.min(MAX_PLAIN_BYTES, this.#deps.maxMessageBytes);
    return first === FINAL_TEXT && payloadBytes <= maxBytes;
  }

  /** What the frame has as a payload when it is passed on: the signature stands in the place of the last brace. */
  #signedPayloadBytes(): number {
    return frame.payloadBytes - 1 + this.#connection.signature.length;
  }

  #signedBytes(): number {
    const bytes = this.#signedPayloadBytes();
    return headBytesOf(bytes) + bytes;
  }

  /** Writes the signed frame where the next one goes; undefined: it is not plain, and what was written is void. */
  #sign(source: DataView): PlainType | undefined {
    const { bytes, view, end } = this.#deps.corking.frames;
    const signedPayloadBytes = this.#signedPayloadBytes();
    const from = end + headBytesOf(signedPayloadBytes);
    const to = from + frame.payloadBytes;
    frame.unmaskInto(view, from, source);
    const type = plainForward(bytes.toString('latin1', from, to));
    if (type === undefined) return undefined;
    writeHead(bytes, end, signedPayloadBytes);
    bytes.set(this.#connection.signature, to - 1);
    return type;
  }

  /** Leaves frames to ws, or a piece of what are none; returns how many bytes. */
  #leave(bytes: Buffer): number {
    const end = this.#isOpen ? endOfFrames(bytes, this.#owed, PIECE_BYTES) : undefined;
    // From here on ws has the connection for good.
    if (end === undefined) this.#isOpen = false;
    const left = Math.min(end ?? PIECE_BYTES, bytes.length);
    this.#owed = (end ?? left) - left;
    (this.#ws as Listener).call(
      this.#stream,
      left === bytes.length ? bytes : bytes.subarray(0, left),
    );
    return left;
  }
}

function onData(this: LaneStream, read: Buffer): void {
  this[LANE]?.receive(read);
}
