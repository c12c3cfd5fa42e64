// What this node has to say to others: collected for a turn, published in order, one batch at a time for each node.
import type { Cancel, Clock } from '../../platform/clock.js';
import { type Envelope, encodeBatch, encodeItem, type Notice } from './batch.js';
import type { ClusterCounters } from './cluster-counters.js';

/** The way to the inbox of another process; declared here because signaling is the one who writes. */
export interface Post {
  /** Resolves to whether anybody listened; rejects where nothing can be published. */
  publish(processId: string, text: string): Promise<boolean>;
}

/** Most that may wait for one node, in UTF-16 code units: what does not fit is lost, and counted. */
const MAX_WAITING = 8 * 1024 * 1024;
/** A batch is closed at this size, so that none makes a subscriber's buffer overflow. */
const MAX_BATCH = 256 * 1024;
/** After a publication that failed, the node is told this much later that it has missed something. */
const RETRY_MS = 500;
/** A node that does not listen will soon, or is dead: what nobody has heard is said again, so often. */
const UNHEARD_MS = 100;
const MAX_UNHEARD = 100;

interface Target {
  items: string[];
  size: number;
  frames: number;
  readonly stream: number;
  number: number;
  /** Said, and not known to be heard. */
  batch: { text: string; frames: number; unheard: number } | undefined;
  sending: boolean;
  /** Whether it has missed a batch and has not been told: the next number tells it. */
  owes: boolean;
  /** Ends the pause before the next attempt. */
  cancelPause: Cancel | undefined;
}

export class Outbox {
  readonly #processId: string;
  readonly #post: Post;
  readonly #clock: Clock;
  readonly #counters: ClusterCounters;
  readonly #onError: (error: unknown) => void;
  readonly #targets = new Map<string, Target>();
  #streams = 0;
  #scheduled = false;
  #isClosed = false;
  #idle: (() => void)[] = [];

  constructor(
    processId: string,
    post: Post,
    clock: Clock,
    counters: ClusterCounters,
    onError: (error: unknown) => void,
  ) {
    this.#onError = onError;
    this.#processId = processId;
    this.#post = post;
    this.#clock = clock;
    this.#counters = counters;
  }

  frame(processId: string, envelope: Envelope): void {
    const target = this.#target(processId);
    if (target.size + envelope.frame.length > MAX_WAITING) {
      this.#counters.frameDrops.overflow += 1;
      return;
    }
    target.frames += 1;
    this.#add(target, encodeItem(envelope));
  }

  notice(processId: string, notice: Notice): void {
    const target = this.#target(processId);
    const text = encodeItem(notice);
    if (target.size + text.length > MAX_WAITING) {
      // It reads its rooms anew when it sees that a number is missing.
      target.number += 1;
      target.owes = true;
      return;
    }
    this.#counters.noticesSent += 1;
    this.#add(target, text);
  }

  /** Forgets a process that is gone. */
  forget(processId: string): void {
    const target = this.#targets.get(processId);
    if (target === undefined) return;
    this.#counters.frameDrops.node_gone += target.frames + (target.batch?.frames ?? 0);
    target.cancelPause?.();
    target.items = [];
    target.batch = undefined;
    target.owes = false;
    this.#targets.delete(processId);
  }

  /** Sends what waits, once, and ends. */
  async close(): Promise<void> {
    this.#isClosed = true;
    while (this.busy) await new Promise<void>((resolve) => this.#idle.push(resolve));
    for (const processId of [...this.#targets.keys()]) this.forget(processId);
  }

  /** Whether anything is under way, or about to be. */
  get busy(): boolean {
    for (const { items, sending, cancelPause } of this.#targets.values()) {
      if (sending || (items.length > 0 && cancelPause === undefined)) return true;
    }
    return false;
  }

  #target(processId: string): Target {
    let target = this.#targets.get(processId);
    if (target === undefined) {
      this.#streams += 1;
      target = {
        items: [],
        size: 0,
        frames: 0,
        stream: this.#streams,
        number: 0,
        batch: undefined,
        sending: false,
        owes: false,
        cancelPause: undefined,
      };
      this.#targets.set(processId, target);
    }
    return target;
  }

  #add(target: Target, text: string): void {
    target.items.push(text);
    target.size += text.length;
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    this.#scheduled = false;
    for (const [processId, target] of this.#targets) {
      const waits = target.sending || target.cancelPause !== undefined;
      if (!waits && target.items.length > 0) void this.#send(processId, target);
    }
  };

  /** One batch at a time: what comes meanwhile is the next one, and no publication overtakes another. */
  async #send(processId: string, target: Target): Promise<void> {
    target.sending = true;
    let pauseMs = 0;
    while (
      pauseMs === 0 &&
      (target.batch !== undefined || target.owes || target.items.length > 0)
    ) {
      target.batch ??= this.#nextBatch(target);
      pauseMs = await this.#publish(processId, target, target.batch);
    }
    target.sending = false;
    const isPresent = this.#targets.get(processId) === target;
    if (pauseMs > 0 && isPresent && !this.#isClosed) {
      target.cancelPause = this.#clock.after(pauseMs, () => {
        target.cancelPause = undefined;
        void this.#send(processId, target);
      });
    } else if (pauseMs > 0) {
      target.items = [];
    }
    const idle = this.#idle;
    this.#idle = [];
    for (const wake of idle) wake();
  }

  /** Returns how long to pause before the next attempt; 0: it was heard. */
  async #publish(
    processId: string,
    target: Target,
    batch: NonNullable<Target['batch']>,
  ): Promise<number> {
    const counters = this.#counters;
    try {
      if (await this.#post.publish(processId, batch.text)) {
        counters.batchesSent += 1;
        counters.framesSent += batch.frames;
        target.batch = undefined;
        return 0;
      }
      batch.unheard += 1;
      if (batch.unheard < MAX_UNHEARD) return UNHEARD_MS;
    } catch (error) {
      this.#onError(error);
      // It may have been heard all the same: said again, it might be heard twice.
    }
    counters.frameDrops.unpublished += batch.frames;
    target.batch = undefined;
    target.owes = true;
    return RETRY_MS;
  }

  #nextBatch(target: Target): NonNullable<Target['batch']> {
    let size = 0;
    let taken = 0;
    for (const item of target.items) {
      if (taken > 0 && size + item.length > MAX_BATCH) break;
      size += item.length;
      taken += 1;
    }
    const items = target.items.splice(0, taken);
    const frames = items.filter((item) => item.startsWith('f')).length;
    target.size -= size;
    target.frames -= frames;
    target.number += 1;
    target.owes = false;
    const { stream, number } = target;
    const text = encodeBatch({ processId: this.#processId, stream, number }, items);
    return { text, frames, unheard: 0 };
  }
}
