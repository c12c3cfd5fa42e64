// Delivers frames and updates to other nodes in order, each once, or reports that they may be lost.
//
// A publication can be lost although it succeeded. The sender therefore keeps an item until the receiver has
// acknowledged it, and publishes it again on request or without an acknowledgment. If items are given up, frames
// are reported to `onLost`, and a new stream tells the receiver that updates may be lost.
import type { Cancel, Clock } from '../../base/clock.js';
import type { ClusterCounters } from './metrics.js';
import {
  type Acknowledgment,
  type Batch,
  type EncodedItem,
  type Envelope,
  encodeAcknowledgment,
  encodeBatch,
  encodeItem,
  type Item,
  type RoomUpdate,
} from './node-messages.js';
import { Signal } from './serial-queue.js';

/** Publishes to the channel of another process. */
export interface Publisher {
  /** Resolves to whether the process is subscribed; rejects if nothing can be published. */
  publish(processId: string, text: string): Promise<boolean>;
}

export interface StreamDeps {
  processId: string;
  publisher: Publisher;
  clock: Clock;
  counters: ClusterCounters;
  onError(error: unknown): void;
}

export interface SendQueueDeps extends StreamDeps {
  /** Whether a process has a lease, by the last answer of the registry. */
  isAlive(processId: string): boolean;
  /** Called if a frame of a connection and generation may never arrive. */
  onLost(from: string, generation: number): void;
}

/** Most that may wait for one node, including its acknowledgments, in UTF-16 code units. */
const MAX_WAITING = 8 * 1024 * 1024;
/** Most in one publication, unless one item is larger. More could overflow the buffer of a subscriber. */
const MAX_BATCH = 256 * 1024;
/** Pause after a publication that failed or reached no node. */
const RETRY_MS = 100;
/** Time without an acknowledgment after which items are published again. */
const SILENCE_MS = 1000;
/** Attempts in a row without an acknowledgment before the stream is given up. */
const MAX_TRIES = 100;
/** The same for a process without a lease. */
const MAX_TRIES_DEAD = 10;

interface QueuedItem extends EncodedItem {
  /** Undefined unless the item is a frame. */
  readonly frame: Envelope | undefined;
}

const sizeOf = ({ head, body }: EncodedItem): number => head.length + body.length;

class SendStream {
  readonly processId: string;
  readonly id: number;
  /** The unacknowledged items, in order. */
  readonly items: QueuedItem[] = [];
  /** Number of the first unacknowledged item. */
  first = 1;
  /** Number of the next item to publish. */
  next = 1;
  /** Number of the first item that was never published. */
  fresh = 1;
  size = 0;
  tries = 0;
  isPublishing = false;
  /** Ends the pause before the next attempt. */
  cancelPause: Cancel | undefined;
  /** Ends the wait for an acknowledgment. */
  cancelSilence: Cancel | undefined;

  constructor(processId: string, id: number) {
    this.processId = processId;
    this.id = id;
  }

  /** Number of the next item that is added. */
  get end(): number {
    return this.first + this.items.length;
  }

  add(item: QueuedItem): void {
    this.items.push(item);
    this.size += sizeOf(item);
  }

  get isReady(): boolean {
    return this.next < this.end && !this.isPublishing && this.cancelPause === undefined;
  }
}

export class SendQueue {
  readonly #deps: SendQueueDeps;
  readonly #streams = new Map<string, SendStream>();
  readonly #published = new Signal();
  #lastId = 0;
  #isScheduled = false;
  #isClosed = false;

  constructor(deps: SendQueueDeps) {
    this.#deps = deps;
  }

  frame(processId: string, frame: Envelope): void {
    const item = { ...encodeItem(frame), frame };
    const stream = this.#stream(processId);
    if (stream.size + sizeOf(item) > MAX_WAITING) {
      this.#deps.counters.frameDrops.overflow += 1;
      this.#deps.onLost(frame.from, frame.generation);
    } else {
      stream.add(item);
      this.#schedule();
    }
  }

  update(processId: string, update: RoomUpdate): void {
    const item = { ...encodeItem(update), frame: undefined };
    this.#deps.counters.updatesSent += 1;
    if (this.#stream(processId).size + sizeOf(item) > MAX_WAITING) this.#restart(processId);
    this.#stream(processId).add(item);
    this.#schedule();
  }

  acknowledged({ processId, stream: id, number, isGap }: Acknowledgment): void {
    const stream = this.#streams.get(processId);
    if (stream?.id !== id || number >= stream.end) return;
    if (number < stream.first - 1) {
      // The receiver has lost the state of this stream.
      if (isGap) this.#restart(processId);
      return;
    }
    const taken = stream.items.splice(0, number - stream.first + 1);
    for (const item of taken) stream.size -= sizeOf(item);
    if (taken.length > 0) stream.tries = 0;
    stream.first = number + 1;
    stream.next = isGap ? stream.first : Math.max(stream.next, stream.first);
    stream.cancelSilence?.();
    stream.cancelSilence = undefined;
    this.#pump(stream);
  }

  /** Gives up all items for a dead process. */
  forget(processId: string): void {
    this.#drop(processId, 'node_gone');
  }

  /** Publishes the waiting items once, and ends. */
  async close(): Promise<void> {
    this.#isClosed = true;
    while (this.busy) await this.#published.next();
    for (const processId of this.#streams.keys()) this.forget(processId);
  }

  /** Whether a publication is in progress, or ready to start. */
  get busy(): boolean {
    return [...this.#streams.values()].some((stream) => stream.isPublishing || stream.isReady);
  }

  #stream(processId: string): SendStream {
    let stream = this.#streams.get(processId);
    if (stream === undefined) {
      this.#lastId += 1;
      stream = new SendStream(processId, this.#lastId);
      this.#streams.set(processId, stream);
    }
    return stream;
  }

  /** Gives up a stream; if its receiver is alive, a new stream reports the loss to it. */
  #restart(processId: string): void {
    this.#drop(processId, 'unpublished');
    if (this.#isClosed || !this.#deps.isAlive(processId)) return;
    const stream = this.#stream(processId);
    stream.add({ ...encodeItem({ kind: 'loss' }), frame: undefined });
    this.#pause(stream);
  }

  #drop(processId: string, cause: 'node_gone' | 'unpublished'): void {
    const stream = this.#streams.get(processId);
    if (stream === undefined) return;
    this.#streams.delete(processId);
    stream.cancelPause?.();
    stream.cancelSilence?.();
    for (const { frame } of stream.items) {
      if (frame === undefined) continue;
      this.#deps.counters.frameDrops[cause] += 1;
      this.#deps.onLost(frame.from, frame.generation);
    }
  }

  /** Publishes all items of one turn of the event loop together. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      for (const stream of this.#streams.values()) this.#pump(stream);
    });
  }

  #pump(stream: SendStream): void {
    if (stream.isReady) void this.#publishAll(stream);
  }

  /** Publishes sequentially, so no publication overtakes another. */
  async #publishAll(stream: SendStream): Promise<void> {
    stream.isPublishing = true;
    while (stream.next < stream.end) {
      const isReceived = await this.#publish(stream);
      if (this.#streams.get(stream.processId) !== stream) break;
      if (isReceived) continue;
      if (this.#isClosed) stream.next = stream.end;
      else this.#fail(stream);
      break;
    }
    stream.isPublishing = false;
    if (this.#streams.get(stream.processId) === stream) this.#awaitAcknowledgment(stream);
    this.#published.fire();
  }

  /** Publishes items from `next` on. An acknowledgment may change the stream meanwhile. */
  async #publish(stream: SendStream): Promise<boolean> {
    const { publisher, counters, onError } = this.#deps;
    const { id, first, next: number, items: queued } = stream;
    const start = number - first;
    let end = start;
    for (let size = 0; end < queued.length; end++) {
      size += sizeOf(queued[end] as QueuedItem);
      if (size > MAX_BATCH && end > start) break;
    }
    const items = queued.slice(start, end);
    const head = { processId: this.#deps.processId, stream: id, number };
    try {
      if (!(await publisher.publish(stream.processId, encodeBatch(head, items)))) return false;
    } catch (error) {
      onError(error);
      return false;
    }
    const isFresh = ({ frame }: QueuedItem, at: number) =>
      frame !== undefined && number + at >= stream.fresh;
    counters.batchesSent += 1;
    counters.framesSent += items.filter(isFresh).length;
    const after = number + items.length;
    stream.fresh = Math.max(stream.fresh, after);
    if (stream.next === number) stream.next = after;
    return true;
  }

  #fail(stream: SendStream): void {
    stream.tries += 1;
    const most = this.#deps.isAlive(stream.processId) ? MAX_TRIES : MAX_TRIES_DEAD;
    if (stream.tries >= most) this.#restart(stream.processId);
    else this.#pause(stream);
  }

  #pause(stream: SendStream): void {
    stream.cancelPause ??= this.#deps.clock.after(RETRY_MS, () => {
      stream.cancelPause = undefined;
      this.#pump(stream);
    });
  }

  #awaitAcknowledgment(stream: SendStream): void {
    if (this.#isClosed || stream.items.length === 0) return;
    stream.cancelSilence ??= this.#deps.clock.after(SILENCE_MS, () => {
      stream.cancelSilence = undefined;
      stream.next = stream.first;
      if (stream.items.length > 0 && !stream.isPublishing) this.#fail(stream);
    });
  }
}

/** Items that arrive within this time share an acknowledgment. Less than {@link SILENCE_MS}. */
const ACKNOWLEDGE_MS = 300;
/** Size that is acknowledged immediately, in UTF-16 code units. Less than {@link MAX_WAITING}. */
const MAX_UNACKNOWLEDGED = 1024 * 1024;

interface ReceiveStream {
  readonly id: number;
  /** Number of the last taken item. */
  last: number;
  /** Size of the arrivals since the last acknowledgment. */
  size: number;
  /** Cancels the delayed acknowledgment. */
  cancel: Cancel | undefined;
  /** When a missing item was last requested, by the monotonic clock. */
  requestedAt: number;
}

/** Takes the items of other nodes, acknowledges them, and requests missing ones. */
export class Receiver {
  readonly #deps: StreamDeps;
  readonly #streams = new Map<string, ReceiveStream>();

  constructor(deps: StreamDeps) {
    this.#deps = deps;
  }

  /** Returns the items of a batch that are next in their stream. */
  take({ processId, stream: id, number, items }: Batch, size: number): readonly Item[] {
    let stream = this.#streams.get(processId);
    if (stream === undefined || id > stream.id) {
      stream?.cancel?.();
      const requestedAt = Number.NEGATIVE_INFINITY;
      stream = { id, last: 0, size: 0, cancel: undefined, requestedAt };
      this.#streams.set(processId, stream);
    }
    if (id < stream.id) return [];
    if (number > stream.last + 1) {
      this.#request(processId, stream);
      return [];
    }
    const next = items.slice(stream.last + 1 - number);
    if (next.length > 0) stream.requestedAt = Number.NEGATIVE_INFINITY;
    stream.last += next.length;
    this.#acknowledge(processId, stream, size);
    return next;
  }

  forget(processId: string): void {
    this.#streams.get(processId)?.cancel?.();
    this.#streams.delete(processId);
  }

  close(): void {
    for (const processId of this.#streams.keys()) this.forget(processId);
  }

  #acknowledge(processId: string, stream: ReceiveStream, size: number): void {
    stream.size += size;
    const send = () => this.#send(processId, stream, false);
    if (stream.size > MAX_UNACKNOWLEDGED) send();
    else stream.cancel ??= this.#deps.clock.after(ACKNOWLEDGE_MS, send);
  }

  #request(processId: string, stream: ReceiveStream): void {
    const now = this.#deps.clock.monotonic();
    // Several batches may follow a gap; one request is enough for all of them.
    if (now - stream.requestedAt < ACKNOWLEDGE_MS) return;
    stream.requestedAt = now;
    this.#deps.counters.gaps += 1;
    this.#send(processId, stream, true);
  }

  #send(to: string, stream: ReceiveStream, isGap: boolean): void {
    const { processId, publisher, onError } = this.#deps;
    stream.cancel?.();
    stream.cancel = undefined;
    stream.size = 0;
    const message = { processId, stream: stream.id, number: stream.last, isGap };
    // A lost acknowledgment is sent again when the sender repeats its items.
    publisher.publish(to, encodeAcknowledgment(message)).catch(onError);
  }
}
