// Sends frames and updates to other nodes in batches, in order, and each batch again until it is acknowledged.
//
// A publication can be lost on its way although it succeeded. So a batch is kept until its receiver has acknowledged it,
// and is published again if the receiver asks for it or stays silent. A batch that is given up is told: its frames to
// `onLost`, its updates to the receiver by the first batch of the next stream.
import type { Cancel, Clock } from '../../platform/clock.js';
import {
  type Acknowledgment,
  type Envelope,
  encodeBatch,
  encodeItem,
  type Notice,
} from './batch.js';
import type { ClusterCounters } from './cluster-counters.js';

/** The way to the inbox of another process; declared here because signaling is its user. */
export interface Post {
  /** Resolves to whether anybody listened; rejects where nothing can be published. */
  publish(processId: string, text: string): Promise<boolean>;
}

export interface OutboxDeps {
  processId: string;
  post: Post;
  clock: Clock;
  counters: ClusterCounters;
  /** Whether a process has a lease, as far as is known. */
  isAlive(processId: string): boolean;
  /** A frame that a connection sent in a generation may never arrive. */
  onLost(from: string, pair: number): void;
  onError(error: unknown): void;
}

/** Most that may wait for one node or for its acknowledgment, in UTF-16 code units. */
const MAX_WAITING = 8 * 1024 * 1024;
/** A batch is closed at this size, so that none makes a subscriber's buffer overflow. */
const MAX_BATCH = 256 * 1024;
/** Pause after a publication that failed, or that nobody listened to. */
const RETRY_MS = 100;
/** After this time without an acknowledgment, what was published is published again. */
const SILENCE_MS = 1000;
/** Attempts in a row without an acknowledgment, after which batches are given up. */
const MAX_TRIES = 100;
/** The same for a process without a lease. */
const MAX_TRIES_DEAD = 10;

interface Item {
  readonly text: string;
  /** What a frame is part of; undefined: an update. */
  readonly frame?: Pick<Envelope, 'from' | 'pair'>;
}

interface Sent {
  readonly number: number;
  readonly text: string;
  readonly items: readonly Item[];
  readonly size: number;
  isPublished: boolean;
}

interface Target {
  /** Grows with every target: the receiver takes a higher one for a new beginning. */
  readonly stream: number;
  /** Whether updates of an earlier stream may have been lost: the receiver is told by the first batch. */
  readonly isAfterLoss: boolean;
  waiting: Item[];
  /** Of what waits and what is not acknowledged. */
  size: number;
  /** Not acknowledged, by number and without gaps. */
  readonly sent: Sent[];
  /** Number of the next batch that is made. */
  number: number;
  /** Number of the next batch that is published: less than `number` where one is published again. */
  next: number;
  tries: number;
  isPublishing: boolean;
  /** Ends the pause before the next attempt. */
  cancelPause: Cancel | undefined;
  /** Ends the wait for an acknowledgment. */
  cancelSilence: Cancel | undefined;
}

export class Outbox {
  readonly #deps: OutboxDeps;
  readonly #targets = new Map<string, Target>();
  #streams = 0;
  #isScheduled = false;
  #isClosed = false;
  #idle: (() => void)[] = [];

  constructor(deps: OutboxDeps) {
    this.#deps = deps;
  }

  frame(processId: string, envelope: Envelope): void {
    const target = this.#target(processId);
    const { from, pair } = envelope;
    const text = encodeItem(envelope);
    if (target.size + text.length <= MAX_WAITING) {
      this.#add(target, { text, frame: { from, pair } });
    } else {
      this.#deps.counters.frameDrops.overflow += 1;
      this.#deps.onLost(from, pair);
    }
  }

  notice(processId: string, notice: Notice): void {
    const text = encodeItem(notice);
    this.#deps.counters.noticesSent += 1;
    if (this.#target(processId).size + text.length > MAX_WAITING) this.#restart(processId);
    this.#add(this.#target(processId), { text });
  }

  /** Takes what a receiver says of the batches that it has. */
  acknowledged({ processId, stream, number, isGap }: Acknowledgment): void {
    const target = this.#targets.get(processId);
    if (target?.stream !== stream || number >= target.number) return;
    const first = target.sent[0]?.number ?? target.number;
    if (number < first - 1) {
      // It had acknowledged more, and has forgotten this stream since.
      if (isGap) this.#restart(processId);
      return;
    }
    for (const { size } of target.sent.splice(0, number - first + 1)) target.size -= size;
    if (number >= first) target.tries = 0;
    target.next = Math.max(target.next, number + 1);
    if (isGap) target.next = number + 1;
    target.cancelSilence?.();
    target.cancelSilence = undefined;
    this.#pump(processId, target);
  }

  /** Forgets a process that is gone. */
  forget(processId: string): void {
    this.#drop(processId, 'node_gone');
  }

  /** Sends what waits, once, and ends. */
  async close(): Promise<void> {
    this.#isClosed = true;
    while (this.busy) await new Promise<void>((resolve) => this.#idle.push(resolve));
    for (const processId of [...this.#targets.keys()]) this.forget(processId);
  }

  /** Whether anything is under way, or about to be. */
  get busy(): boolean {
    for (const { waiting, isPublishing, cancelPause } of this.#targets.values()) {
      if (isPublishing || (waiting.length > 0 && cancelPause === undefined)) return true;
    }
    return false;
  }

  #target(processId: string, isAfterLoss = false): Target {
    let target = this.#targets.get(processId);
    if (target === undefined) {
      this.#streams += 1;
      target = {
        stream: this.#streams,
        isAfterLoss,
        waiting: [],
        size: 0,
        sent: [],
        number: 1,
        next: 1,
        tries: 0,
        isPublishing: false,
        cancelPause: undefined,
        cancelSilence: undefined,
      };
      this.#targets.set(processId, target);
    }
    return target;
  }

  /** Gives up what was sent and what waits, and begins another stream, by which a receiver that lives is told. */
  #restart(processId: string): void {
    this.#drop(processId, 'unpublished');
    if (!this.#isClosed && this.#deps.isAlive(processId)) {
      this.#pause(processId, this.#target(processId, true));
    }
  }

  #drop(processId: string, cause: 'node_gone' | 'unpublished'): void {
    const target = this.#targets.get(processId);
    if (target === undefined) return;
    this.#targets.delete(processId);
    target.cancelPause?.();
    target.cancelSilence?.();
    for (const { frame } of [...target.sent.flatMap(({ items }) => items), ...target.waiting]) {
      if (frame === undefined) continue;
      this.#deps.counters.frameDrops[cause] += 1;
      this.#deps.onLost(frame.from, frame.pair);
    }
    target.waiting = [];
  }

  #add(target: Target, item: Item): void {
    target.waiting.push(item);
    target.size += item.text.length;
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    this.#isScheduled = false;
    for (const [processId, target] of this.#targets) {
      if (target.waiting.length > 0) this.#pump(processId, target);
    }
  };

  #pump(processId: string, target: Target): void {
    if (!target.isPublishing && target.cancelPause === undefined) {
      void this.#publishAll(processId, target);
    }
  }

  /** One publication at a time: what comes meanwhile is the next batch, and none overtakes another. */
  async #publishAll(processId: string, target: Target): Promise<void> {
    target.isPublishing = true;
    for (;;) {
      const batch = this.#nextBatch(target);
      if (batch === undefined) break;
      const isHeard = await this.#publish(processId, batch);
      if (this.#targets.get(processId) !== target) break;
      if (isHeard) {
        if (target.next === batch.number) target.next += 1;
      } else if (this.#isClosed) {
        target.waiting = [];
        break;
      } else {
        this.#fail(processId, target);
        break;
      }
    }
    target.isPublishing = false;
    this.#listen(processId, target);
    const idle = this.#idle;
    this.#idle = [];
    for (const wake of idle) wake();
  }

  async #publish(processId: string, batch: Sent): Promise<boolean> {
    const { post, counters, onError } = this.#deps;
    try {
      if (!(await post.publish(processId, batch.text))) return false;
    } catch (error) {
      onError(error);
      return false;
    }
    counters.batchesSent += 1;
    if (!batch.isPublished) {
      counters.framesSent += batch.items.filter(({ frame }) => frame !== undefined).length;
    }
    batch.isPublished = true;
    return true;
  }

  /** The batch to publish again, or a new one. */
  #nextBatch(target: Target): Sent | undefined {
    const [first] = target.sent;
    if (first !== undefined && target.next < target.number) {
      return target.sent[target.next - first.number];
    }
    const isAnnouncement = target.isAfterLoss && target.number === 1;
    if (target.waiting.length === 0 && !isAnnouncement) return undefined;
    let size = 0;
    let taken = 0;
    for (const { text } of target.waiting) {
      if (taken > 0 && size + text.length > MAX_BATCH) break;
      size += text.length;
      taken += 1;
    }
    const items = target.waiting.splice(0, taken);
    const { stream, number, isAfterLoss } = target;
    const texts = items.map(({ text }) => text);
    const head = { processId: this.#deps.processId, stream, number, isAfterLoss };
    const batch = { number, text: encodeBatch(head, texts), items, size, isPublished: false };
    target.sent.push(batch);
    target.number += 1;
    return batch;
  }

  #fail(processId: string, target: Target): void {
    target.tries += 1;
    const most = this.#deps.isAlive(processId) ? MAX_TRIES : MAX_TRIES_DEAD;
    if (target.tries >= most) this.#restart(processId);
    else this.#pause(processId, target);
  }

  #pause(processId: string, target: Target): void {
    target.cancelPause ??= this.#deps.clock.after(RETRY_MS, () => {
      target.cancelPause = undefined;
      this.#pump(processId, target);
    });
  }

  /** Publishes again what stays without an acknowledgment. */
  #listen(processId: string, target: Target): void {
    const isPresent = this.#targets.get(processId) === target;
    if (this.#isClosed || !isPresent || target.sent.length === 0) return;
    target.cancelSilence ??= this.#deps.clock.after(SILENCE_MS, () => {
      target.cancelSilence = undefined;
      const [first] = target.sent;
      if (first === undefined) return;
      target.next = first.number;
      if (!target.isPublishing) this.#fail(processId, target);
    });
  }
}
