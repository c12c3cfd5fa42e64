// Forwards plain messages for a peer in this process from the bytes of a socket, before ws parses them.
//
//   read:  │ plain │ plain │ plain │ anything else … │
//          └─────────┬───────────┘ └───────┬─────────┘
//                forwarded         left to ws, with the rest of the next 4 KiB
//
// The lane tracks only where the frames of ws end, and resumes at the next frame. If that can no longer be determined,
// ws keeps the connection permanently.
//
// Every read of a connection passes through the lane, so reads also wait here if the budget of the address is used up.
import type { Duplex } from 'node:stream';
import { systemClock } from '../../base/clock.js';
import { COST, type Reader } from '../../limits/address-budget.js';
import type { Backplane } from '../backplane.js';
import type { Connections } from '../connections.js';
import { MAX_PLAIN_BYTES, type PlainType, plainForward } from '../plain-message.js';
import type { SignalingServices } from '../services.js';
import type { Connection } from '../websocket/connection.js';
import { readsAtOnce, viewOf } from '../websocket/corking.js';
import type { ReceiveQueue } from '../websocket/receive-queue.js';
import { FINAL_TEXT, headBytesOf, writeHead } from '../websocket/text-frame.js';
import { ClientFrame, endOfFrames } from './client-frame.js';

const LANE = Symbol('lane');

type LaneStream = Duplex & { [LANE]?: FastLane };
type Listener = (this: Duplex, read: Buffer) => void;

/** Shared by all lanes. */
export interface FastLaneDeps extends SignalingServices {
  backplane: Backplane;
  connections: Connections;
}

/** Bytes per call of ws; the budget is checked between calls. */
const PIECE_BYTES = 4096;

/** Cost of a discarded byte. */
const DISCARDED_BYTE_COST = 0.0005;

/** The current frame. */
const frame = new ClientFrame();

/** Number of frames in the current run, by type. */
const inRun: Record<PlainType, number> = { ice_candidate: 0, webrtc_offer: 0, webrtc_answer: 0 };

export class FastLane implements Reader {
  readonly connection: Connection;
  readonly receiveQueue: ReceiveQueue;
  readonly #stream: LaneStream;
  readonly #deps: FastLaneDeps;
  readonly #ws: Listener | undefined;
  /** Whether frames may be forwarded without ws; never if the stream does not read written bytes at once. */
  #isOpen: boolean;
  #isClosed = false;
  /** Missing bytes of the last frame that was left to ws. */
  #owed = 0;
  /** Bytes that wait for the budget of the address. */
  #kept: Buffer | undefined;
  /** When the wait began; undefined if nothing waits. */
  #keptAt: number | undefined;

  /** Replaces the `data` listener of ws, which must already be attached. */
  constructor(
    stream: Duplex,
    connection: Connection,
    receiveQueue: ReceiveQueue,
    deps: FastLaneDeps,
  ) {
    this.#stream = stream;
    this.connection = connection;
    this.receiveQueue = receiveQueue;
    this.#deps = deps;
    const listeners = stream.listeners('data');
    this.#isOpen = readsAtOnce(stream);
    // With any other number, this is an unknown version of ws, which continues alone.
    if (listeners.length !== 1) return;
    this.#ws = listeners[0] as Listener;
    this.#stream[LANE] = this;
    stream.off('data', this.#ws);
    stream.on('data', onData);
  }

  /** To be called when ws has failed the connection: later bytes are discarded, and still charged. */
  close(): void {
    this.#isClosed = true;
    this.#kept = undefined;
  }

  receive(read: Buffer): void {
    const { budget } = this.connection;
    budget.charge(COST.read + (this.#isClosed ? read.length * DISCARDED_BYTE_COST : 0));
    if (this.#kept !== undefined || budget.held) this.#keep(read);
    else this.#go(read);
  }

  /** Called when the budget allows more. */
  release(): void {
    const kept = this.#kept;
    this.#kept = undefined;
    this.receiveQueue.excuse(systemClock.monotonic() - (this.#keptAt as number));
    this.#keptAt = undefined;
    this.connection.resume();
    if (kept !== undefined) this.#go(kept);
  }

  /** Holds the bytes, and stops reading. */
  #keep(read: Buffer): void {
    if (!this.#isClosed) {
      this.#kept = this.#kept === undefined ? read : Buffer.concat([this.#kept, read]);
    }
    if (this.#keptAt !== undefined) return;
    this.#keptAt = systemClock.monotonic();
    this.connection.pause();
    this.connection.budget.wait(this);
  }

  #go(read: Buffer): void {
    const { budget } = this.connection;
    let left = read;
    try {
      while (!this.#isClosed && !budget.held) {
        const taken = this.#take(left);
        if (taken === left.length) return;
        left = left.subarray(taken);
      }
      if (!this.#isClosed) this.#keep(left);
    } catch (error) {
      this.receiveQueue.fail(error);
    }
  }

  /** Takes frames from the beginning of the bytes; returns the number of bytes taken. */
  #take(read: Buffer): number {
    const peer = this.#owed === 0 && this.#isOpen ? this.#peer() : undefined;
    const taken = peer === undefined ? 0 : this.#passOn(read, peer);
    if (taken === read.length || this.connection.budget.held) return taken;
    return taken + this.#leave(taken === 0 ? read : read.subarray(taken));
  }

  /** The peer, if it is in this process; undefined while a message of the sender is in progress. */
  #peer(): Connection | undefined {
    const { backplane, connections } = this.#deps;
    const { id, seat, open } = this.connection;
    const peerId = seat?.peerId ?? null;
    if (peerId === null || !open || this.receiveQueue.busy) return undefined;
    return backplane.reaches(id, peerId) ? connections.get(peerId) : undefined;
  }

  /** Forwards the plain frames at the beginning; returns their size in bytes. */
  #passOn(read: Buffer, peer: Connection): number {
    const { corking, counters, stalls } = this.#deps;
    const { frames } = corking;
    const { budget } = this.connection;
    const source = viewOf(read);
    const now = systemClock.monotonic();
    const stalledMs = stalls.total(now);
    let at = 0;
    frames.beginRun();
    while (!budget.held && frame.read(read, at) && frame.end <= read.length && this.#mayBePlain()) {
      if (!frames.fits(this.#forwardedBytes())) {
        this.#sendRun(peer);
        corking.release();
        frames.beginRun();
      }
      const type = this.#addSender(source);
      if (type === undefined) break;
      at = frame.end;
      this.connection.unanswered = 0;
      if (!this.receiveQueue.admit(frame.payloadBytes, now, stalledMs)) break;
      counters.messages[type] += 1;
      inRun[type] += 1;
      frames.end += this.#forwardedBytes();
    }
    this.#sendRun(peer);
    return at;
  }

  /** Sends the frames that were written since the last run. */
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
    const maxBytes = Math.min(MAX_PLAIN_BYTES, this.#deps.config.maxMessageBytes);
    return first === FINAL_TEXT && payloadBytes <= maxBytes;
  }

  /** Size of the forwarded payload: the fields of the sender replace the last brace. */
  #forwardedPayloadBytes(): number {
    return frame.payloadBytes - 1 + this.connection.senderFields.length;
  }

  #forwardedBytes(): number {
    const bytes = this.#forwardedPayloadBytes();
    return headBytesOf(bytes) + bytes;
  }

  /** Writes the frame with its sender at the end of the run; undefined if it is not plain, and the bytes are unused. */
  #addSender(source: DataView): PlainType | undefined {
    const { bytes, view, end } = this.#deps.corking.frames;
    const payloadBytes = this.#forwardedPayloadBytes();
    const from = end + headBytesOf(payloadBytes);
    const to = from + frame.payloadBytes;
    frame.unmaskInto(view, from, source);
    const type = plainForward(bytes.toString('latin1', from, to));
    if (type === undefined) return undefined;
    writeHead(bytes, end, payloadBytes);
    bytes.set(this.connection.senderFields, to - 1);
    return type;
  }

  /** Passes frames, or a piece of other bytes, to ws; returns the number of bytes. */
  #leave(bytes: Buffer): number {
    const end = this.#isOpen ? endOfFrames(bytes, this.#owed, PIECE_BYTES) : undefined;
    // From now on, ws keeps the connection.
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
