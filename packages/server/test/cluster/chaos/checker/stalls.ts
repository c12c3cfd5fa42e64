// When the event loop of the test stood still: its clients asked for nothing then.
import type { Event } from '../history.js';

export class Stalls {
  readonly #spans: { id: number; from: number; to: number }[] = [];

  take(event: Event): void {
    if (event.kind !== 'fault' || event.what !== 'stall') return;
    const { t, id } = event;
    if (event.phase === 'begin') this.#spans.push({ id, from: t, to: t });
    for (const span of this.#spans) if (span.id === id) span.to = t;
  }

  /** How long it did, between two moments. */
  msWithin(from: number, to: number): number {
    return this.#spans.reduce(
      (sum, span) => sum + Math.max(0, Math.min(span.to, to) - Math.max(span.from, from)),
      0,
    );
  }
}
