// Reads rooms anew and puts them right, a bounded number at a time: after a node has died, after news may have been lost, and now and then.
import type { Cancel, Clock } from '../../platform/clock.js';
import type { RoomNews } from './room-news.js';
import type { RoomView, RoomViews } from './room-view.js';

/** Rooms that are read at once: thousands a second, and little of Redis and of the event loop at a time. */
const AT_ONCE = 64;
/** How often every room is read without a cause. That keeps its record from expiring, and finds whatever else was missed. */
export const ROUND_MS = 10 * 60_000;

export class Patrol {
  readonly #views: RoomViews;
  readonly #news: RoomNews;
  readonly #stopRounds: Cancel;
  #urgent = new Set<RoomView>();
  #due = new Set<RoomView>();
  #active = 0;
  #stopped = false;
  #idle: (() => void)[] = [];

  constructor(views: RoomViews, news: RoomNews, clock: Clock) {
    this.#views = views;
    this.#news = news;
    this.#stopRounds = clock.every(ROUND_MS, () => this.all());
  }

  /** All rooms, those first that are urgent. */
  all(isUrgent: (view: RoomView) => boolean = () => false): void {
    for (const view of this.#views) {
      if (!view.matters) continue;
      if (isUrgent(view)) this.#urgent.add(view);
      else this.#due.add(view);
    }
    this.#work();
  }

  stop(): void {
    this.#stopped = true;
    this.#stopRounds();
    this.#urgent.clear();
    this.#due.clear();
  }

  get busy(): boolean {
    return this.#active > 0;
  }

  async idle(): Promise<void> {
    while (this.busy) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #work(): void {
    while (this.#active < AT_ONCE && !this.#stopped) {
      const view = this.#next();
      if (view === undefined) break;
      this.#active += 1;
      view.line
        .run(() => this.#news.look(view))
        // Not possible now: all rooms are read when the lease is valid again.
        .catch(() => {})
        .finally(() => {
          this.#active -= 1;
          this.#work();
        });
    }
    if (this.#active > 0) return;
    const idle = this.#idle;
    this.#idle = [];
    for (const wake of idle) wake();
  }

  #next(): RoomView | undefined {
    for (const views of [this.#urgent, this.#due]) {
      for (const view of views) {
        views.delete(view);
        if (this.#views.find(view.roomId) === view) return view;
      }
    }
    return undefined;
  }
}
