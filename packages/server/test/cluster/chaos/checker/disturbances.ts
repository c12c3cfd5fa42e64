// Which servers were disturbed when: from the beginning of a fault until its last effect may have arrived.

import type { Event, FaultKind } from '../history.js';
import type { Bounds } from '../settings.js';

interface Fault {
  from: number;
  /** Infinity while it lasts. */
  to: number;
  what: FaultKind;
  /** null: all servers. */
  node: number | null;
}

/** The faults of a history, in the order of their beginnings. */
function faultsOf(events: readonly Event[]): Fault[] {
  const faults = new Map<number, Fault>();
  for (const event of events) {
    if (event.kind !== 'fault') continue;
    const { id, what, node, t } = event;
    const begun = faults.get(id);
    if (begun) begun.to = t;
    else faults.set(id, { from: t, to: Number.POSITIVE_INFINITY, what, node });
  }
  return [...faults.values()].sort((a, b) => a.from - b.from);
}

/** The faults of one kind, for what it excuses alone. */
export class Spans {
  readonly #spans: readonly Fault[];

  constructor(events: readonly Event[], what: FaultKind) {
    this.#spans = faultsOf(events).filter((fault) => fault.what === what);
  }

  /** The beginning of the first one that has not ended by `t`; Infinity if there is none. */
  next(t: number): number {
    return this.#spans.find(({ to }) => to >= t)?.from ?? Number.POSITIVE_INFINITY;
  }

  /** Whether one lasts at a moment, or ended less than `afterMs` before. */
  last(t: number, afterMs: number): boolean {
    return this.#spans.some(({ from, to }) => from <= t && t <= to + afterMs);
  }

  /** The time that they took between two moments. */
  msWithin(from: number, to: number): number {
    return this.#spans.reduce(
      (sum, span) => sum + Math.max(0, Math.min(span.to, to) - Math.max(span.from, from)),
      0,
    );
  }
}

export interface Disturbance {
  from: number;
  /** With the time that its effects may take. */
  to: number;
  /** A fault of Redis, or of the test itself: every server is disturbed. */
  everywhere: boolean;
  /** Whether the server may lose its lease meanwhile. A burst only keeps it busy. */
  silences: boolean;
}

export class Disturbances {
  /** The time of the last event. An effect that has not happened by then may still be in time. */
  readonly horizon: number;
  readonly #bounds: Bounds;
  readonly #all: readonly (Disturbance & { node: number | null })[];
  readonly #of = new Map<number, readonly Disturbance[]>();
  readonly #merged = new Map<number, readonly Disturbance[]>();

  constructor(events: readonly Event[], bounds: Bounds) {
    this.#bounds = bounds;
    this.horizon = events.reduce((last, { t }) => Math.max(last, t), 0);
    // A full Redis only refuses some requests. The rules that allow that check for it.
    this.#all = faultsOf(events)
      .filter(({ what }) => what !== 'redis-full')
      .map(({ from, to, what, node }) => ({
        from,
        to: to + bounds.recoveryMs,
        everywhere: node === null,
        silences: what !== 'burst',
        node,
      }));
  }

  /** Those of a server, by their beginning. */
  of(node: number): readonly Disturbance[] {
    const own =
      this.#of.get(node) ?? this.#all.filter((one) => one.everywhere || one.node === node);
    this.#of.set(node, own);
    return own;
  }

  /** Whether a server was disturbed at any moment between two. */
  touch(node: number, from: number, to: number): boolean {
    const merged = this.#mergedOf(node);
    // They are disjoint and in order, so only the first that ends at or after `from` can overlap.
    let low = 0;
    let high = merged.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((merged[middle] as Disturbance).to < from) low = middle + 1;
      else high = middle;
    }
    return (merged[low]?.from ?? Number.POSITIVE_INFINITY) <= to;
  }

  /** The earliest moment, not before `t`, from which none of the servers was disturbed for this time. */
  quietFrom(nodes: readonly number[], t: number, lengthMs: number): number {
    let from = t;
    for (let moved = true; moved; ) {
      moved = false;
      for (const one of nodes.flatMap((node) => this.#mergedOf(node))) {
        if (one.from > from + lengthMs || one.to <= from) continue;
        from = one.to;
        moved = true;
      }
    }
    return from;
  }

  /**
   * The time by which all servers have detected that a connection of this server ended at `t`. A working server tells the
   * others at once; one with a fault is detected when its lease has expired; without Redis, nothing is detected.
   */
  goneBy(node: number, t: number, silent: boolean): number {
    const { settleMs, silentMs, goneMs } = this.#bounds;
    let by = t + (silent ? silentMs : settleMs);
    for (const { from, to, everywhere } of this.of(node)) {
      if (from > by || to < t) continue;
      const later = Math.max(t, from) + goneMs + (silent ? silentMs : 0);
      by = Math.max(by, everywhere ? to + settleMs : later);
    }
    return by;
  }

  #mergedOf(node: number): readonly Disturbance[] {
    const known = this.#merged.get(node);
    if (known) return known;
    const merged: Disturbance[] = [];
    for (const one of this.of(node)) {
      const last = merged.at(-1);
      if (last && one.from <= last.to) last.to = Math.max(last.to, one.to);
      else merged.push({ ...one });
    }
    this.#merged.set(node, merged);
    return merged;
  }
}
