// Reads rooms anew and puts them right, a bounded number at a time: after a node has died, after news may have been lost, and now and then.
import type { Cancel, Clock } from '../../platform/clock.js';
import type { NodeLease } from './node-lease.js';
import type { RoomUpdates } from './room-updates.js';
import type { RoomView, RoomViews } from './room-view.js';
import { Signal } from './serial-queue.js';

/** Rooms that are read at once: thousands a second, and little of Redis and of the event loop at a time. */
const AT_ONCE = 64;
/** How often every room is read without a cause. That keeps its record from expiring, and finds whatever else was missed. */
export const ROUND_MS = 10 * 60_000;

/** So much later a room is looked at again of which something is owed. */
const SOON_MS = 1000;

export class Reconciler {
  readonly #views: RoomViews;
  readonly #updates: RoomUpdates;
  readonly #stopRounds: Cancel;
  readonly #urgent = new Queue();
  readonly #due = new Queue();
  readonly #soon = new Set<RoomView>();
  readonly #lease: NodeLease;
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  #cancelSoon: Cancel | undefined;
  #active = 0;
  #stopped = false;
  readonly #finished = new Signal();

  constructor(
    views: RoomViews,
    updates: RoomUpdates,
    lease: NodeLease,
    clock: Clock,
    onError: (error: unknown) => void,
  ) {
    this.#onError = onError;
    this.#views = views;
    this.#updates = updates;
    this.#lease = lease;
    this.#clock = clock;
    this.#stopRounds = clock.every(ROUND_MS, () => this.all());
  }

  /** All rooms, those first that are urgent. */
  all(isUrgent: (view: RoomView) => boolean = () => false): void {
    for (const view of this.#views) {
      // One whose first join is under way may matter when its turn comes.
      if (!view.matters && !view.queue.busy) continue;
      if (isUrgent(view)) this.#urgent.push(view);
      else this.#due.push(view);
    }
    this.#work();
  }

  /** The rooms that are urgent, and those in which something is under way, which may be urgent when it is done. */
  urgent(isUrgent: (view: RoomView) => boolean): void {
    for (const view of this.#views) if (view.queue.busy || isUrgent(view)) this.#urgent.push(view);
    this.#work();
  }

  /** One room, at once. */
  now(view: RoomView): void {
    this.#urgent.push(view);
    this.#work();
  }

  /** One room, in a while: a change of it failed, or is owed, although this node has its lease. */
  soon(view: RoomView): void {
    if (this.#stopped) return;
    this.#soon.add(view);
    this.#cancelSoon ??= this.#clock.after(SOON_MS, () => {
      this.#cancelSoon = undefined;
      for (const due of this.#soon) this.#urgent.push(due);
      this.#soon.clear();
      this.#work();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#stopRounds();
    this.#cancelSoon?.();
    this.#soon.clear();
    this.#urgent.clear();
    this.#due.clear();
  }

  get busy(): boolean {
    return this.#active > 0;
  }

  async idle(): Promise<void> {
    while (this.busy) await this.#finished.next();
  }

  #work(): void {
    if (this.#lease.state === 'away') {
      // Nothing can be read, and all rooms are when there is a lease again.
      this.#urgent.clear();
      this.#due.clear();
    }
    while (this.#active < AT_ONCE && !this.#stopped) {
      const view = this.#next();
      if (view === undefined) break;
      this.#active += 1;
      view.queue
        .run(() => this.#updates.reconcile(view))
        .catch((error: unknown) => {
          this.#onError(error);
          // Without a lease all rooms are read when there is one again.
          if (this.#lease.state === 'valid') this.soon(view);
        })
        .finally(() => {
          this.#active -= 1;
          this.#work();
        });
    }
    if (this.#active === 0) this.#finished.fire();
  }

  #next(): RoomView | undefined {
    for (const queue of [this.#urgent, this.#due]) {
      for (let view = queue.shift(); view !== undefined; view = queue.shift()) {
        if (this.#views.find(view.roomId) === view) return view;
      }
    }
    return undefined;
  }
}

/** Rooms in the order in which they came, each once. */
class Queue {
  readonly #views = new Set<RoomView>();
  /** Kept, because an iterator of its own for every room would skip all deleted ones again. */
  #front = this.#views.values();

  push(view: RoomView): void {
    this.#views.add(view);
  }

  shift(): RoomView | undefined {
    const { value, done } = this.#front.next();
    if (done) this.#front = this.#views.values();
    else this.#views.delete(value);
    return value;
  }

  clear(): void {
    this.#views.clear();
  }
}
