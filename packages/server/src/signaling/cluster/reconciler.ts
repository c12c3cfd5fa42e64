// Reads and reconciles rooms with bounded concurrency: after the death of a node, after lost updates, and regularly.
import type { Cancel, Clock } from '../../base/clock.js';
import type { NodeLease } from './node-lease.js';
import type { SerialQueue } from './serial-queue.js';

/** Rooms that are read concurrently. */
const AT_ONCE = 64;
/** Period of the regular read of every room, which also extends its record. */
export const ROUND_MS = 10 * 60_000;
/** Delay before a room is read again after a failed change, or with seats to release. */
const SOON_MS = 1000;

interface Room {
  readonly queue: SerialQueue;
  /** Whether it has to be written to or read from the record store. */
  readonly matters: boolean;
  /** Called in the queue of the room. */
  reconcile(): Promise<void>;
}

export interface ReconcilerDeps {
  lease: NodeLease;
  clock: Clock;
  onError(error: unknown): void;
}

export class Reconciler {
  readonly #rooms: Iterable<Room>;
  readonly #deps: ReconcilerDeps;
  readonly #stopRounds: Cancel;
  readonly #urgent = new Waiting();
  readonly #due = new Waiting();
  readonly #soon = new Set<Room>();
  #cancelSoon: Cancel | undefined;
  #active = 0;
  #stopped = false;

  constructor(rooms: Iterable<Room>, deps: ReconcilerDeps) {
    this.#rooms = rooms;
    this.#deps = deps;
    this.#stopRounds = deps.clock.every(ROUND_MS, () => this.all());
  }

  all(): void {
    this.#add(this.#due, this.#rooms);
  }

  /** Reads rooms before those of {@link all}. */
  now(rooms: Iterable<Room>): void {
    this.#add(this.#urgent, rooms);
  }

  soon(room: Room): void {
    if (this.#stopped) return;
    this.#soon.add(room);
    this.#cancelSoon ??= this.#deps.clock.after(SOON_MS, () => {
      this.#cancelSoon = undefined;
      this.now(this.#soon);
      this.#soon.clear();
    });
  }

  /** Starts no further reads. */
  stop(): void {
    this.#stopped = true;
    this.#stopRounds();
    this.#cancelSoon?.();
  }

  #add(waiting: Waiting, rooms: Iterable<Room>): void {
    for (const room of rooms) waiting.add(room);
    this.#work();
  }

  #work(): void {
    const { lease, onError } = this.#deps;
    if (lease.state === 'away') {
      // Nothing can be read now, and a new lease causes a read of all rooms.
      this.#urgent.clear();
      this.#due.clear();
    }
    while (this.#active < AT_ONCE && !this.#stopped) {
      const room = this.#urgent.take() ?? this.#due.take();
      if (room === undefined) break;
      // A room with its first join in progress may matter when it is read.
      if (!room.matters && !room.queue.busy) continue;
      this.#active += 1;
      room.queue
        .run(() => room.reconcile())
        .catch((error: unknown) => {
          onError(error);
          if (lease.state === 'valid') this.soon(room);
        })
        .finally(() => {
          this.#active -= 1;
          this.#work();
        });
    }
  }
}

/** Rooms in the order in which they were added, each once. */
class Waiting {
  readonly #rooms = new Set<Room>();
  /** Kept, because each new iterator would skip all deleted entries again. */
  #front = this.#rooms.values();

  add(room: Room): void {
    this.#rooms.add(room);
  }

  take(): Room | undefined {
    const { value, done } = this.#front.next();
    if (done) this.#front = this.#rooms.values();
    else this.#rooms.delete(value);
    return value;
  }

  clear(): void {
    this.#rooms.clear();
  }
}
