// When the test itself stood still: its clients asked for nothing then, and the servers had no more of the machine.
import type { Event } from '../history.js';

export class Stalls {
  readonly #spans: { id: number; from: number; to: number }[] = [];

  take(event: Event): void {
    if (event.kind !== 'fault' || event.what !== 'stall') return;
    const { t, id } = event;
    if (event.phase === 'begin') this.#spans.push({ id, from: t, to: t });
    for (const span of this.#spans) if (span.id === id) span.to = t;
  }

  /** How long it did, between two moments. Several processes look: where two stood still at once, that counts once. */
  msWithin(from: number, to: number): number {
    let sum = 0;
    let counted = from;
    for (const span of this.#spans.toSorted((a, b) => a.from - b.from)) {
      const begin = Math.max(span.from, counted);
      const end = Math.min(span.to, to);
      if (end <= begin) continue;
      sum += end - begin;
      counted = end;
    }
    return sum;
  }
}
