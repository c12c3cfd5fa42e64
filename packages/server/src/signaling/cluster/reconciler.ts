// Reads and reconciles rooms with bounded concurrency: after the death of a node, after lost updates, and regularly.
import type { Cancel, Clock } from '../../base/clock.js';
import type { NodeLease } from './node-lease.js';
import type { RoomView, RoomViews } from './room-view.js';

/** Rooms that are read concurrently. */
const AT_ONCE = 64;
/** Period of the regular read of every room, which also extends its record. */
export const ROUND_MS = 10 * 60_000;
/** Delay before a room is read again after a failed change, or with seats to release. */
const SOON_MS = 1000;

export interface ReconcilerDeps {
  views: RoomViews;
  lease: NodeLease;
  clock: Clock;
  /** Called in the queue of the room. */
  reconcile(view: RoomView): Promise<void>;
  onError(error: unknown): void;
}

export class Reconciler {
  readonly #deps: ReconcilerDeps;
  readonly #stopRounds: Cancel;
  readonly #urgent = new Rooms();
  readonly #due = new Rooms();
  readonly #soon = new Set<RoomView>();
  #cancelSoon: Cancel | undefined;
  #active = 0;
  #stopped = false;

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
    this.#stopRounds = deps.clock.every(ROUND_MS, () => this.all());
  }

  all(): void {
    for (const view of this.#deps.views) {
      // A room with its first join in progress may matter when it is read.
      if (view.matters || view.queue.busy) this.#due.add(view);
    }
    this.#work();
  }

  /** Reads the urgent rooms, and those with a task in progress, which may become urgent. */
  urgent(isUrgent: (view: RoomView) => boolean): void {
    for (const view of this.#deps.views) {
      if (view.queue.busy || isUrgent(view)) this.#urgent.add(view);
    }
    this.#work();
  }

  now(view: RoomView): void {
    this.#urgent.add(view);
    this.#work();
  }

  soon(view: RoomView): void {
    if (this.#stopped) return;
    this.#soon.add(view);
    this.#cancelSoon ??= this.#deps.clock.after(SOON_MS, () => {
      this.#cancelSoon = undefined;
      for (const due of this.#soon) this.#urgent.add(due);
      this.#soon.clear();
      this.#work();
    });
  }

  /** Starts no further reads. */
  stop(): void {
    this.#stopped = true;
    this.#stopRounds();
    this.#cancelSoon?.();
  }

  #work(): void {
    const { lease, onError } = this.#deps;
    if (lease.state === 'away') {
      // Nothing can be read now, and a new lease causes a read of all rooms.
      this.#urgent.clear();
      this.#due.clear();
    }
    while (this.#active < AT_ONCE && !this.#stopped) {
      const view = this.#urgent.take() ?? this.#due.take();
      if (view === undefined) break;
      if (this.#deps.views.find(view.roomId) !== view) continue;
      this.#active += 1;
      view.queue
        .run(() => this.#deps.reconcile(view))
        .catch((error: unknown) => {
          onError(error);
          if (lease.state === 'valid') this.soon(view);
        })
        .finally(() => {
          this.#active -= 1;
          this.#work();
        });
    }
  }
}

/** Rooms in the order in which they were added, each once. */
class Rooms {
  readonly #views = new Set<RoomView>();
  /** Kept, because each new iterator would skip all deleted entries again. */
  #front = this.#views.values();

  add(view: RoomView): void {
    this.#views.add(view);
  }

  take(): RoomView | undefined {
    const { value, done } = this.#front.next();
    if (done) this.#front = this.#views.values();
    else this.#views.delete(value);
    return value;
  }

  clear(): void {
    this.#views.clear();
  }
}
