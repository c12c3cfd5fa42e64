// When which server was disturbed: from the beginning of a fault until its last effect may have arrived.
import type { Event } from '../history.js';
import type { Bounds } from './bounds.js';

export interface Disturbance {
  from: number;
  /** With the time that its effects may take. */
  to: number;
  /** The servers' common engine, or the test itself: every server is disturbed. */
  everywhere: boolean;
  /** Whether the server may lose its lease meanwhile. A burst only keeps it busy. */
  silences: boolean;
}

export class Disturbances {
  /** The last moment that is known: what has not happened by then may still be on time. */
  readonly horizon: number;
  readonly #bounds: Bounds;
  readonly #everywhere: Disturbance[] = [];
  readonly #at = new Map<number, Disturbance[]>();
  readonly #merged = new Map<number, Disturbance[]>();

  constructor(events: readonly Event[], bounds: Bounds) {
    this.#bounds = bounds;
    this.horizon = events.reduce((last, { t }) => Math.max(last, t), 0);
    const open = new Map<number, Disturbance>();
    const atNode: [number, Disturbance][] = [];
    for (const event of events) {
      // A full Redis refuses some things, and disturbs nothing else: the rules that allow it look for it.
      if (event.kind !== 'fault' || event.what === 'redis-full') continue;
      if (event.phase === 'end') {
        const begun = open.get(event.id);
        if (begun) begun.to = event.t + bounds.healMs;
        continue;
      }
      const { t, node, id } = event;
      const begun = {
        from: t,
        to: Number.POSITIVE_INFINITY,
        everywhere: node === null,
        silences: event.what !== 'burst',
      };
      open.set(id, begun);
      if (node === null) this.#everywhere.push(begun);
      else atNode.push([node, begun]);
    }
    for (const [node, one] of atNode) this.#at.set(node, [...(this.#at.get(node) ?? []), one]);
    for (const [node, own] of this.#at) {
      this.#at.set(
        node,
        [...own, ...this.#everywhere].sort((a, b) => a.from - b.from),
      );
    }
    this.#everywhere.sort((a, b) => a.from - b.from);
  }

  /** Those of a server, by their beginning. */
  of(node: number): readonly Disturbance[] {
    return this.#at.get(node) ?? this.#everywhere;
  }

  /** Whether a server was disturbed at any moment between two. */
  touch(node: number, from: number, to: number): boolean {
    const merged = this.#mergedOf(node);
    // The first that ends at or after `from`: of disjoint ones in order, the only candidate.
    let low = 0;
    let high = merged.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((merged[middle] as Disturbance).to < from) low = middle + 1;
      else high = middle;
    }
    const candidate = merged[low];
    return candidate !== undefined && candidate.from <= to;
  }

  /** The earliest moment, not before `t`, from which none of the servers was disturbed for so long. */
  quietFrom(nodes: readonly number[], t: number, lengthMs: number): number {
    let from = t;
    for (let moved = true; moved; ) {
      moved = false;
      for (const node of nodes) {
        for (const one of this.#mergedOf(node)) {
          if (one.from > from + lengthMs || one.to <= from) continue;
          from = one.to;
          moved = true;
        }
      }
    }
    return from;
  }

  /**
   * By when everyone knows that a connection of this server ended at `t`. A server that works says so at once, one that
   * was struck by a fault meanwhile does so when its lease is gone, and without the engine nobody can say anything.
   */
  goneBy(node: number, t: number, silent: boolean): number {
    const { settleMs, silentMs, goneMs } = this.#bounds;
    let by = t + (silent ? silentMs : settleMs);
    for (const { from, to, everywhere } of this.of(node)) {
      if (from > by || to < t) continue;
      by = Math.max(
        by,
        everywhere ? to + settleMs : Math.max(t, from) + goneMs + (silent ? silentMs : 0),
      );
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
