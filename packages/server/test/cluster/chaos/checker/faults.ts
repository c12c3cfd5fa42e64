// Which servers were disturbed when: from the beginning of a fault until its last effect may have arrived.
import { type Bounds, type Event, type FaultKind, NEVER } from '../history.js';

export interface Fault {
  from: number;
  /** Infinity while it lasts. */
  to: number;
  what: FaultKind;
  /** null: a fault of Redis, or of the test itself, which disturbs every server. */
  node: number | null;
}

export class Faults {
  /** The time of the last event. An effect that has not happened by then may still be in time. */
  readonly horizon: number;
  readonly #bounds: Bounds;
  /** In the order of their beginnings. */
  readonly #all: readonly Fault[];
  /** The same with the time that their effects may take. */
  readonly #disturbing: readonly Fault[];

  constructor(events: readonly Event[], bounds: Bounds) {
    this.#bounds = bounds;
    this.horizon = events.reduce((last, { t }) => Math.max(last, t), 0);
    const faults = new Map<number, Fault>();
    for (const event of events) {
      if (event.kind !== 'fault') continue;
      const begun = faults.get(event.fault);
      if (begun) begun.to = event.t;
      else
        faults.set(event.fault, { from: event.t, to: NEVER, what: event.what, node: event.node });
    }
    this.#all = [...faults.values()].sort((a, b) => a.from - b.from);
    // A full Redis only refuses some requests. The rules that allow that check for it.
    this.#disturbing = this.#all
      .filter(({ what }) => what !== 'redis-full')
      .map((fault) => ({ ...fault, to: fault.to + bounds.recoveryMs }));
  }

  /** The beginning of the first loss of all data that has not ended by `t`. */
  flushAfter(t: number): number {
    return this.#of('redis-flush').find(({ to }) => to >= t)?.from ?? NEVER;
  }

  /** Whether Redis refuses operations that need memory. */
  isFull(t: number): boolean {
    const { settleMs } = this.#bounds;
    return this.#of('redis-full').some(({ from, to }) => from <= t && t <= to + settleMs);
  }

  /** The time between two moments in which the test stood still. */
  stalledMs(after: number, before: number): number {
    const within = ({ from, to }: Fault) => Math.min(to, before) - Math.max(from, after);
    return this.#of('stall').reduce((sum, stall) => sum + Math.max(0, within(stall)), 0);
  }

  /** The disturbances of these servers, by their beginning. */
  of(...nodes: readonly number[]): readonly Fault[] {
    return this.#disturbing.filter(({ node }) => node === null || nodes.includes(node));
  }

  /** Whether a server was disturbed at any moment between two. */
  touch(node: number, after: number, before = after): boolean {
    return this.of(node).some(({ from, to }) => from <= before && to >= after);
  }

  /** The earliest end of a time of this length, not before `t`, in which none of the servers was disturbed. */
  afterQuiet(nodes: readonly number[], t: number, lengthMs: number): number {
    let start = t;
    for (const { from, to } of this.of(...nodes)) {
      if (from <= start + lengthMs && to > start) start = to;
    }
    return start + lengthMs;
  }

  /**
   * The time by which all servers have detected that a connection of this server ended at `t`. A working server tells the
   * others at once; one with a fault is detected when its lease has expired; without Redis, nothing is detected.
   */
  goneBy(server: number, t: number, isSilent: boolean): number {
    const { settleMs, silentMs, goneMs } = this.#bounds;
    let by = t + (isSilent ? silentMs : settleMs);
    for (const { from, to, node } of this.of(server)) {
      if (from > by || to < t) continue;
      const later = Math.max(t, from) + goneMs + (isSilent ? silentMs : 0);
      by = Math.max(by, node === null ? to + settleMs : later);
    }
    return by;
  }

  #of(kind: FaultKind): readonly Fault[] {
    return this.#all.filter(({ what }) => what === kind);
  }
}
