// Exchanges frames and updates with other nodes: in order, each once, or reports that they may be lost.
//
// A publication can be lost although it succeeded. The sender therefore keeps an item until the receiver has
// acknowledged it, and publishes it again on request or without an acknowledgment. If items are given up, frames
// are reported to `onLost`, and a new stream tells the receiver that updates may be lost.
import type { Cancel, Clock } from '../../base/clock.js';
import type { ClusterCounters } from './metrics.js';
import type { NodeLease } from './node-lease.js';
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

/** Publishes to the channel of another process. */
export interface Publisher {
  /** Resolves to whether the process is subscribed; rejects if nothing can be published. */
  publish(processId: string, text: string): Promise<boolean>;
}

export interface StreamDeps {
  lease: NodeLease;
  publisher: Publisher;
  clock: Clock;
  counters: ClusterCounters;
  /** Called with each frame that may never arrive. */
  onLost(frame: Envelope): void;
  onError(error: unknown): void;
}

/** Most that may wait for one node, including its acknowledgments, in UTF-16 code units. */
const MAX_WAITING = 8 * 1024 * 1024;
/** Most in one publication, unless one item is larger. More could overflow the buffer of a subscriber. */
const MAX_BATCH = 256 * 1024;
/** Pause after a publication that failed or reached no node. */
const RETRY_MS = 100;
/** Time without an acknowledgment after which items are published again. */
const SILENCE_MS = 1000;
/** Attempts in a row without an acknowledgment before the items are given up. */
const MAX_TRIES = 100;
/** The same for a process without a lease; the lease of one that has just started may not be known yet. */
const MAX_TRIES_DEAD = 10;
/** Items that arrive within this time share an acknowledgment. Less than {@link SILENCE_MS}. */
const ACKNOWLEDGE_MS = 300;
/** Size that is acknowledged immediately, in UTF-16 code units. Less than {@link MAX_WAITING}. */
const MAX_UNACKNOWLEDGED = 1024 * 1024;

class SendStream {
  readonly processId: string;
  readonly id: number;
  /** The unacknowledged items, in order. */
  readonly items: EncodedItem[] = [];
  size = 0;
  /** Number of the first unacknowledged item. */
  first = 1;
  /** Number of the next item to publish. */
  next = 1;
  /** Attempts since the last acknowledgment. */
  tries = 0;
  publishing: Promise<void> | undefined;
  /** Whether nothing may be published before the next attempt. */
  isPaused = false;
  /** Cancels the next attempt to publish the unacknowledged items again. */
  cancel: Cancel | undefined;

  constructor(processId: string, id: number) {
    this.processId = processId;
    this.id = id;
  }

  /** Number of the next item that is added. */
  get end(): number {
    return this.first + this.items.length;
  }

  get isReady(): boolean {
    return this.next < this.end && !this.isPaused;
  }
}

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

const sizeOf = ({ head, body }: EncodedItem): number => head.length + body.length;

export class NodeStreams {
  readonly #deps: StreamDeps;
  readonly #sending = new Map<string, SendStream>();
  readonly #receiving = new Map<string, ReceiveStream>();
  #lastId = 0;
  #isScheduled = false;

  constructor(deps: StreamDeps) {
    this.#deps = deps;
  }

  frame(processId: string, frame: Envelope): void {
    const { counters, onLost } = this.#deps;
    if (this.#add(processId, encodeItem(frame))) counters.framesSent += 1;
    else {
      counters.frameDrops.overflow += 1;
      onLost(frame);
    }
  }

  update(processId: string, update: RoomUpdate): void {
    const item = encodeItem(update);
    this.#deps.counters.updatesSent += 1;
    if (this.#add(processId, item)) return;
    this.#restart(processId);
    this.#add(processId, item);
  }

  /** Takes a message of another process. Returns the items that are next in their stream. */
  take(message: Batch | Acknowledgment, size: number): readonly Item[] {
    if ('items' in message) return this.#takeBatch(message, size);
    this.#takeAcknowledgment(message);
    return [];
  }

  /** Gives up all items for and of a dead process. */
  forget(processId: string): void {
    this.#giveUp(processId, 'node_gone');
    this.#receiving.get(processId)?.cancel?.();
    this.#receiving.delete(processId);
  }

  /** Publishes the waiting items once, and ends. */
  async close(): Promise<void> {
    await Promise.all([...this.#sending.values()].map((stream) => this.#publish(stream)));
    for (const streams of [this.#sending, this.#receiving]) {
      for (const { cancel } of streams.values()) cancel?.();
      // A late acknowledgment finds no stream whose items would be published again.
      streams.clear();
    }
  }

  #streamTo(processId: string): SendStream {
    let stream = this.#sending.get(processId);
    if (stream === undefined) {
      this.#lastId += 1;
      stream = new SendStream(processId, this.#lastId);
      this.#sending.set(processId, stream);
    }
    return stream;
  }

  /** Adds an item to the stream to a process; false if too much waits. */
  #add(processId: string, item: EncodedItem): boolean {
    const stream = this.#streamTo(processId);
    if (stream.size + sizeOf(item) > MAX_WAITING) return false;
    stream.items.push(item);
    stream.size += sizeOf(item);
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      // All items of one turn of the event loop are published together.
      setImmediate(() => {
        this.#isScheduled = false;
        for (const each of this.#sending.values()) void this.#publish(each);
      });
    }
    return true;
  }

  #takeAcknowledgment({ processId, stream: id, number, isGap }: Acknowledgment): void {
    const stream = this.#sending.get(processId);
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
    if (!stream.isPaused) this.#retryAfter(stream, SILENCE_MS, false);
    void this.#publish(stream);
  }

  /** Gives up a stream. If its receiver is alive, a new stream reports the loss to it. */
  #restart(processId: string): void {
    this.#giveUp(processId, 'unpublished');
    if (!this.#deps.lease.processes.has(processId)) return;
    this.#add(processId, encodeItem({ kind: 'loss' }));
    this.#retryAfter(this.#streamTo(processId), RETRY_MS, true);
  }

  #giveUp(processId: string, cause: 'node_gone' | 'unpublished'): void {
    const stream = this.#sending.get(processId);
    this.#sending.delete(processId);
    stream?.cancel?.();
    for (const { item } of stream?.items.splice(0) ?? []) {
      if (item.kind !== 'frame') continue;
      this.#deps.counters.frameDrops[cause] += 1;
      this.#deps.onLost(item);
    }
  }

  /** Publishes the items from `next` on, sequentially, so no publication overtakes another. */
  #publish(stream: SendStream): Promise<void> | undefined {
    if (stream.isReady) stream.publishing ??= this.#publishAll(stream);
    return stream.publishing;
  }

  async #publishAll(stream: SendStream): Promise<void> {
    while (stream.isReady) await this.#publishBatch(stream);
    stream.publishing = undefined;
  }

  async #publishBatch(stream: SendStream): Promise<void> {
    const { lease, publisher, counters, onError } = this.#deps;
    const { items: waiting, next: number } = stream;
    const start = number - stream.first;
    let end = start;
    for (let size = 0; end < waiting.length; end++) {
      size += sizeOf(waiting[end] as EncodedItem);
      if (size > MAX_BATCH && end > start) break;
    }
    const head = { processId: lease.processId, stream: stream.id, number };
    const text = encodeBatch(head, waiting.slice(start, end));
    let isReceived = false;
    try {
      isReceived = await publisher.publish(stream.processId, text);
    } catch (error) {
      onError(error);
    }
    if (isReceived) counters.batchesSent += 1;
    // Meanwhile, an acknowledgment may have changed the stream, or it was given up.
    if (waiting.length === 0) return;
    if (!isReceived) return this.#retryAfter(stream, RETRY_MS, true);
    if (stream.next === number) stream.next += end - start;
    if (stream.cancel === undefined) this.#retryAfter(stream, SILENCE_MS, false);
  }

  /** Publishes the unacknowledged items again after a delay; if it is a pause, nothing is published before. */
  #retryAfter(stream: SendStream, delayMs: number, isPause: boolean): void {
    stream.cancel?.();
    stream.cancel = undefined;
    if (stream.items.length === 0) return;
    stream.isPaused = isPause;
    stream.cancel = this.#deps.clock.after(delayMs, () => {
      stream.cancel = undefined;
      stream.isPaused = false;
      stream.next = stream.first;
      stream.tries += 1;
      const isAlive = this.#deps.lease.processes.has(stream.processId);
      if (stream.tries < (isAlive ? MAX_TRIES : MAX_TRIES_DEAD)) void this.#publish(stream);
      else this.#restart(stream.processId);
    });
  }

  #takeBatch({ processId, stream: id, number, items }: Batch, size: number): readonly Item[] {
    const { clock, counters } = this.#deps;
    counters.batchesReceived += 1;
    let stream = this.#receiving.get(processId);
    if (stream === undefined || id > stream.id) {
      stream?.cancel?.();
      const requestedAt = Number.NEGATIVE_INFINITY;
      stream = { id, last: 0, size: 0, cancel: undefined, requestedAt };
      this.#receiving.set(processId, stream);
    }
    if (id < stream.id) return [];
    const confirm = (isGap: boolean) => this.#confirm(processId, stream, isGap);
    if (number > stream.last + 1) {
      const now = clock.monotonic();
      // Several batches may follow a gap; one request is enough for all of them.
      if (now - stream.requestedAt < ACKNOWLEDGE_MS) return [];
      stream.requestedAt = now;
      counters.gaps += 1;
      confirm(true);
      return [];
    }
    const next = items.slice(stream.last + 1 - number);
    if (next.length > 0) stream.requestedAt = Number.NEGATIVE_INFINITY;
    stream.last += next.length;
    stream.size += size;
    if (stream.size > MAX_UNACKNOWLEDGED) confirm(false);
    else stream.cancel ??= clock.after(ACKNOWLEDGE_MS, () => confirm(false));
    return next;
  }

  #confirm(to: string, stream: ReceiveStream, isGap: boolean): void {
    const { publisher, onError } = this.#deps;
    const { processId } = this.#deps.lease;
    stream.cancel?.();
    stream.cancel = undefined;
    stream.size = 0;
    const message = { processId, stream: stream.id, number: stream.last, isGap };
    // A lost acknowledgment is sent again when the sender repeats its items.
    publisher.publish(to, encodeAcknowledgment(message)).catch(onError);
  }
}
