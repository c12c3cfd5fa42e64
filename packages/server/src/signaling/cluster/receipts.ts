// Takes batches of other nodes in their order, each once, acknowledges them, and asks again for those that are missing.
import type { Cancel, Clock } from '../../platform/clock.js';
import { type Batch, encodeAcknowledgment } from './batch.js';
import type { ClusterCounters } from './cluster-counters.js';
import type { Post } from './outbox.js';

/** Batches that come within this time share an acknowledgment. Less than the time after which a sender repeats them. */
const DELAY_MS = 300;
/** So much is acknowledged at once, in UTF-16 code units: a sender may keep a few times as much. */
const MAX_PENDING = 1024 * 1024;

interface Last {
  stream: number;
  number: number;
  /** Received since the last acknowledgment. */
  pending: number;
  cancel: Cancel | undefined;
  /** When a missing batch was last asked for, by the monotonic clock. */
  askedAt: number;
}

export interface ReceiptsDeps {
  processId: string;
  post: Post;
  clock: Clock;
  counters: ClusterCounters;
  onError(error: unknown): void;
}

export class Receipts {
  readonly #deps: ReceiptsDeps;
  readonly #last = new Map<string, Last>();

  constructor(deps: ReceiptsDeps) {
    this.#deps = deps;
  }

  /** Whether a batch is the next one of its sender: only then its items count. */
  take({ processId, stream, number }: Batch, size: number): boolean {
    let last = this.#last.get(processId);
    if (last === undefined || stream > last.stream) {
      last?.cancel?.();
      const askedAt = Number.NEGATIVE_INFINITY;
      last = { stream, number: 0, pending: 0, cancel: undefined, askedAt };
      this.#last.set(processId, last);
    }
    if (stream < last.stream) return false;
    if (number > last.number + 1) {
      this.#ask(processId, last, number - last.number - 1);
      return false;
    }
    const isNext = number > last.number;
    if (isNext) {
      last.number = number;
      last.askedAt = Number.NEGATIVE_INFINITY;
    }
    this.#acknowledge(processId, last, size);
    return isNext;
  }

  forget(processId: string): void {
    this.#last.get(processId)?.cancel?.();
    this.#last.delete(processId);
  }

  close(): void {
    for (const processId of [...this.#last.keys()]) this.forget(processId);
  }

  #acknowledge(processId: string, last: Last, size: number): void {
    last.pending += size;
    if (last.pending > MAX_PENDING) this.#send(processId, last, false);
    else {
      last.cancel ??= this.#deps.clock.after(DELAY_MS, () => this.#send(processId, last, false));
    }
  }

  #ask(processId: string, last: Last, missing: number): void {
    const now = this.#deps.clock.monotonic();
    // The batches behind a gap come one after the other: one request is enough for all.
    if (now - last.askedAt < DELAY_MS) return;
    last.askedAt = now;
    this.#deps.counters.batchesMissed += missing;
    this.#send(processId, last, true);
  }

  #send(to: string, last: Last, isGap: boolean): void {
    const { processId, post, onError } = this.#deps;
    last.cancel?.();
    last.cancel = undefined;
    last.pending = 0;
    const { stream, number } = last;
    // One that is lost is sent again when the sender repeats its batch.
    post.publish(to, encodeAcknowledgment({ processId, stream, number, isGap })).catch(onError);
  }
}
