// When Redis lost all its data: pairings made before are gone then, and nothing is said of them after.
import type { Event } from '../history.js';

export class Flushes {
  readonly #spans: { from: number; to: number }[] = [];

  constructor(events: readonly Event[]) {
    const open = new Map<number, { from: number; to: number }>();
    for (const event of events) {
      if (event.kind !== 'fault' || event.what !== 'redis-flush') continue;
      if (event.phase === 'begin') {
        const span = { from: event.t, to: Number.POSITIVE_INFINITY };
        open.set(event.id, span);
        this.#spans.push(span);
      } else {
        const begun = open.get(event.id);
        if (begun) begun.to = event.t;
      }
    }
  }

  /** Until when what was made at `t` is certain to exist; Infinity: for ever. */
  lostAt(t: number): number {
    return Math.min(
      Number.POSITIVE_INFINITY,
      ...this.#spans.filter(({ to }) => to >= t).map(({ from }) => from),
    );
  }
}
