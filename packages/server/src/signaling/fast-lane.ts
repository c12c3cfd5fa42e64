// Plain messages for a peer in this process, taken out of what was read from a socket before ws sees it.
//
//   read:  │ plain │ plain │ plain │ anything else … │
//          └─────────┬───────────┘ └───────┬─────────┘
//                passed on         left to ws, with all that follows in this read
//
// ws reads the rest as if it were all there is. Where its frames end is all that has to be known of it: the lane is open
// again when a read begins with a frame. Where that can no longer be told, ws has the connection for good.
import type { Duplex } from 'node:stream';
import type { ForwardedMessage } from '@couplet/protocol';
import type { Backplane } from './backplane.js';
import { bytesOwed, ClientFrame } from './client-frame.js';
import type { Connection } from './connection.js';
import type { Connections } from './connections.js';
import { type Corking, readsAtOnce } from './corking.js';
import type { SignalingCounters } from './counters.js';
import type { Inbox } from './inbox.js';
import { MAX_PLAIN_BYTES, plainForward } from './plain-forward.js';
import { FINAL_TEXT, headBytesOf, writeHead } from './text-frame.js';
import { viewOf } from './turn-buffer.js';

const LANE = Symbol('lane');

type LaneStream = Duplex & { [LANE]?: FastLane };
type Listener = (this: Duplex, read: Buffer) => void;

/** What all lanes share. */
export interface FastLaneDeps {
  backplane: Pick<Backplane, 'reaches'>;
  connections: Pick<Connections, 'get'>;
  corking: Corking;
  counters: SignalingCounters;
  maxMessageBytes: number;
}

/** The frame that is looked at. */
const frame = new ClientFrame();

export class FastLane {
  readonly #stream: LaneStream;
  readonly #connection: Connection;
  readonly #inbox: Inbox;
  readonly #deps: FastLaneDeps;
  readonly #ws: Listener | undefined;
  /** Bytes that are still to come of the last frame that was left to ws. */
  #owed = 0;

  /** Puts itself in the place of ws, which listens to the stream's data already. */
  constructor(stream: Duplex, connection: Connection, inbox: Inbox, deps: FastLaneDeps) {
    this.#stream = stream;
    this.#connection = connection;
    this.#inbox = inbox;
    this.#deps = deps;
    const listeners = stream.listeners('data');
    // Any other number is not of the ws that is known here: it goes on alone. So it does on what is no plain TCP.
    if (listeners.length !== 1 || !readsAtOnce(stream)) return;
    this.#ws = listeners[0] as Listener;
    this.#stream[LANE] = this;
    stream.off('data', this.#ws);
    stream.on('data', onData);
  }

  /** For when ws has failed the connection, and reads no more. */
  close(): void {
    this.#stream.off('data', onData);
  }

  receive(read: Buffer): void {
    try {
      this.#take(read);
    } catch (error) {
      this.#inbox.fail(error);
    }
  }

  #take(read: Buffer): void {
    const peer = this.#owed === 0 ? this.#peer() : undefined;
    const taken = peer === undefined ? 0 : this.#passOn(read, peer);
    if (taken < read.length) this.#leave(taken === 0 ? read : read.subarray(taken));
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
    const { corking, counters } = this.#deps;
    const { frames } = corking;
    const source = viewOf(read);
    const now = performance.now();
    let at = 0;
    frames.beginRun();
    while (frame.read(read, at) && frame.end <= read.length && this.#mayBePlain()) {
      if (!frames.fits(this.#signedBytes())) {
        peer.sendLent(frames.run());
        corking.release();
        frames.beginRun();
      }
      const type = this.#sign(source);
      if (type === undefined) break;
      at = frame.end;
      this.#connection.unanswered = 0;
      if (!this.#inbox.admit(frame.payloadBytes, now)) break;
      counters.messages[type] += 1;
      counters.forwards[type] += 1;
      frames.add(this.#signedBytes());
    }
    peer.sendLent(frames.run());
    return at;
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
  #sign(source: DataView): ForwardedMessage['type'] | undefined {
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

  #leave(bytes: Buffer): void {
    const ws = this.#ws as Listener;
    const owed = bytesOwed(bytes, this.#owed);
    if (owed === undefined) {
      this.close();
      this.#stream.on('data', ws);
    } else this.#owed = owed;
    ws.call(this.#stream, bytes);
  }
}

function onData(this: LaneStream, read: Buffer): void {
  this[LANE]?.receive(read);
}
