// The spans of one kind of fault, for what it excuses alone: a Redis that lost all its data, or that is full.
import type { Event, FaultKind } from '../history.js';

export class Spans {
  readonly #spans: { from: number; to: number }[] = [];

  constructor(events: readonly Event[], what: FaultKind) {
    const open = new Map<number, { from: number; to: number }>();
    for (const event of events) {
      if (event.kind !== 'fault' || event.what !== what) continue;
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

  /** When the first one begins that has not ended by `t`; Infinity: none. Until then what was made at `t` is not touched. */
  next(t: number): number {
    return Math.min(
      Number.POSITIVE_INFINITY,
      ...this.#spans.filter(({ to }) => to >= t).map(({ from }) => from),
    );
  }

  /** Whether one lasts at a moment, or ended less than `afterMs` before. */
  last(t: number, afterMs: number): boolean {
    return this.#spans.some(({ from, to }) => from <= t && t <= to + afterMs);
  }
}
