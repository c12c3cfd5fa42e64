// What this node has to say to others: collected for a turn, published in order, one batch at a time for each node.
import type { Cancel, Clock } from '../../platform/clock.js';
import { type Envelope, encodeBatch, encodeItem, type Notice } from './batch.js';
import type { ClusterCounters } from './cluster-counters.js';

/** The way to the inbox of another process; declared here because signaling is the one who writes. */
export interface Post {
  /** Rejects where nothing can be published; resolves also where nobody listens. */
  publish(processId: string, text: string): Promise<void>;
}

/** Most that may wait for one node, in UTF-16 code units: what does not fit is lost, and counted. */
const MAX_WAITING = 8 * 1024 * 1024;
/** A batch is closed at this size, so that none makes a subscriber's buffer overflow. */
const MAX_BATCH = 256 * 1024;
/** After a publication that failed, the node is told this much later that it has missed something. */
const RETRY_MS = 500;

interface Target {
  items: string[];
  size: number;
  readonly stream: number;
  number: number;
  sending: boolean;
  frames: number;
  /** Whether it has missed a batch and has not been told: the next number tells it. */
  owes: boolean;
  retry: Cancel | undefined;
}

export class Outbox {
  readonly #processId: string;
  readonly #post: Post;
  readonly #clock: Clock;
  readonly #counters: ClusterCounters;
  readonly #targets = new Map<string, Target>();
  #streams = 0;
  #scheduled = false;
  #isClosed = false;
  #idle: (() => void)[] = [];

  constructor(processId: string, post: Post, clock: Clock, counters: ClusterCounters) {
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
    this.#counters.frameDrops.node_gone += target.frames;
    target.items = [];
    target.size = 0;
    target.frames = 0;
    target.owes = false;
    target.retry?.();
    this.#targets.delete(processId);
  }

  /** Sends what waits, once, and ends. */
  async close(): Promise<void> {
    this.#isClosed = true;
    while (this.busy) await new Promise<void>((resolve) => this.#idle.push(resolve));
    for (const { retry } of this.#targets.values()) retry?.();
    this.#targets.clear();
  }

  get busy(): boolean {
    for (const { items, sending } of this.#targets.values()) {
      if (sending || items.length > 0) return true;
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
        stream: this.#streams,
        number: 0,
        sending: false,
        frames: 0,
        owes: false,
        retry: undefined,
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
      if (!target.sending && target.items.length > 0) void this.#send(processId, target);
    }
  };

  /** One batch at a time: what comes meanwhile is the next one, and no publication overtakes another. */
  async #send(processId: string, target: Target): Promise<void> {
    target.sending = true;
    do {
      const { items, frames } = this.#batch(target);
      target.number += 1;
      const head = { processId: this.#processId, stream: target.stream, number: target.number };
      try {
        await this.#post.publish(processId, encodeBatch(head, items));
        this.#counters.batchesSent += 1;
        this.#counters.framesSent += frames;
        target.owes = false;
      } catch {
        this.#counters.frameDrops.unpublished += frames;
        target.owes = true;
        break;
      }
    } while (target.items.length > 0);
    target.sending = false;
    if (target.owes && this.#isClosed) {
      target.items = [];
    } else if (target.owes) {
      target.retry = this.#clock.after(RETRY_MS, () => this.#retry(processId, target));
    }
    const idle = this.#idle;
    this.#idle = [];
    for (const wake of idle) wake();
  }

  #retry(processId: string, target: Target): void {
    if (this.#targets.get(processId) !== target || target.sending || !target.owes) return;
    void this.#send(processId, target);
  }

  #batch(target: Target): { items: string[]; frames: number } {
    let size = 0;
    let taken = 0;
    for (const item of target.items) {
      if (taken > 0 && size + item.length > MAX_BATCH) break;
      size += item.length;
      taken += 1;
    }
    const items = target.items.splice(0, taken);
    target.size -= size;
    const frames = items.filter((item) => item.startsWith('f')).length;
    target.frames -= frames;
    return { items, frames };
  }
}
