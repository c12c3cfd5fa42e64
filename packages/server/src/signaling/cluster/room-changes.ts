// Changes of a room: planned by the one rule, written by compare-and-set, told here at once and to other nodes by notices.
import type { Clock } from '../../platform/clock.js';
import { Unavailable } from '../../platform/http-errors.js';
import type { LocalConnections } from '../backplane.js';
import type { Effect, RoomEvent } from '../room.js';
import { catchUp } from './catch-up.js';
import type { ClusterCounters } from './metrics.js';
import { type NodeLease, processOf } from './node-lease.js';
import type { SendQueue } from './node-streams.js';
import { type Plan, plan } from './room-plan.js';
import { absentRecord, nodeOf, type RoomRecord } from './room-record.js';
import type { RoomView, RoomViews } from './room-view.js';

/** Keeps the records of all rooms. Rejects with `Unavailable` when it cannot be reached; a change may then have been made. */
export interface RoomRecordStore {
  /** The record, kept for some hours more; {@link absentRecord} where there is none. */
  read(roomId: string): Promise<RoomRecord>;
  /**
   * Writes `next` where the version is still `expected`; 0: where there is no record.
   *
   * @param deadline - by the record store's clock; after it nothing is written, so that a lease that is gone writes nothing late
   * @param isNew - whether nobody is known to sit there: a store that is full refuses to make such a room
   */
  compareAndSet(
    expected: number,
    next: RoomRecord,
    deadline: number,
    isNew: boolean,
  ): Promise<SetOutcome>;
  /** The records of all rooms with members. */
  list(): Promise<readonly RoomRecord[]>;
}

export type SetOutcome =
  | { kind: 'set' }
  /** Somebody else was first: the record as it is. */
  | { kind: 'conflict'; record: RoomRecord }
  /** The deadline has passed. */
  | { kind: 'late' }
  /** There is no record, and no memory for one: nothing was written. */
  | { kind: 'full'; cause: unknown };

/** Changes that meet others on the way; more often in a row only where two nodes fight, which is a fault. */
const MAX_TRIES = 30;

export interface RoomChangesDeps {
  store: RoomRecordStore;
  lease: NodeLease;
  views: RoomViews;
  sendQueue: SendQueue;
  connections: LocalConnections;
  counters: ClusterCounters;
  clock: Clock;
  /** Connections whose join, or move, is under way. */
  joining: ReadonlyMap<string, RoomView>;
  /** Sees to it that a room is looked at again, although nothing may happen in it. */
  reconcileSoon: (view: RoomView) => void;
}

export class RoomChanges {
  readonly #deps: RoomChangesDeps;

  constructor(deps: RoomChangesDeps) {
    this.#deps = deps;
  }

  /**
   * Changes a room by an event, or, without one, only puts right what is wrong with it. To be called in the queue of
   * the room. Resolves to the room as it is then.
   *
   * @throws Unavailable where it is not known, or not possible; what was asked for may then yet happen
   */
  async change(view: RoomView, event: RoomEvent | null): Promise<RoomRecord> {
    const { store, lease, counters } = this.#deps;
    const { roomId } = view;
    // What is known here is mostly how it is; where not, the record store's answer says how.
    let base = view.exact && view.seats.size > 0 ? view.known : absentRecord(roomId);
    let isFresh = false;
    let isConfirmed = false;
    if (event === null) {
      await this.#mayAct();
      base = await store.read(roomId);
      isFresh = true;
    }
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      await this.#mayAct();
      const { incarnation, deadline } = lease;
      // Who is not among the living as we know them is new, or dead: the registry knows.
      if (base.nodes.some((node) => !lease.isAlive(node) && !this.#isOurs(node))) {
        await this.#askLeases();
        if (incarnation !== lease.incarnation) continue;
      }
      const planned = this.#plan(view, base, event);
      if ((planned.lost && !isConfirmed) || (!planned.changed && !isFresh)) {
        // Before anything is concluded from it: is the lease what we think, and the room?
        if (planned.lost) await this.#askLeases();
        isConfirmed = planned.lost;
        base = await store.read(roomId);
        isFresh = true;
        continue;
      }
      if (planned.changed) {
        const isNew = event?.kind === 'join' && view.seats.size === 0 && base.version === 0;
        const outcome = await this.#write(view, base, planned.next, deadline, isNew);
        isFresh = true;
        if (outcome.kind === 'full') throw outcome.cause;
        if (outcome.kind === 'conflict') {
          counters.conflicts += 1;
          base = outcome.record;
          continue;
        }
        if (outcome.kind === 'late') {
          await this.#askLeases();
          continue;
        }
      }
      if (!lease.acts || lease.incarnation !== incarnation) {
        await lease.verdict();
        if (lease.state !== 'valid' || lease.incarnation !== incarnation) {
          // It was made under a lease that others may have seen end: nobody is told before it stands under a new one.
          this.#doubt(view, base, planned.next);
          if (event === null || event.kind === 'join') {
            base = planned.next;
            isFresh = false;
            continue;
          }
        }
      }
      this.#tell(view, base, planned, event, incarnation);
      return planned.next;
    }
    throw new Unavailable(new Error('a room changed too often'));
  }

  async #mayAct(): Promise<void> {
    const { lease } = this.#deps;
    await lease.verdict();
    if (lease.state !== 'valid') throw new Unavailable(new Error('no lease'));
  }

  /** Without an answer nobody is taken for dead, and no seat for lost. */
  async #askLeases(): Promise<void> {
    if (!(await this.#deps.lease.ask())) throw new Unavailable(new Error('no leases'));
    await this.#mayAct();
  }

  #isOurs(node: string): boolean {
    return processOf(node) === this.#deps.lease.processId;
  }

  #plan(view: RoomView, base: RoomRecord, event: RoomEvent | null): Plan {
    const { lease, clock, joining } = this.#deps;
    const leaver = event === null || event.kind === 'join' ? undefined : event.connectionId;
    // In the order in which they sit: claimed again in another, they would change roles.
    const held = view.known.state.members
      .flatMap(({ connectionId }) => view.seats.get(connectionId) ?? [])
      .filter(({ member }) => member.connectionId !== leaver)
      .map(({ member, incarnation }) => ({ member, claimed: incarnation === lease.incarnation }));
    return plan(base, event, {
      node: lease.id,
      now: clock.now(),
      isDead: (node) => !lease.isAlive(node),
      held,
      known: view.known,
      exact: view.exact,
      isGhost: (id) => !view.seats.has(id) && !joining.has(id) && id !== leaver,
      endedGeneration: view.endedGeneration,
      released: view.releases,
      mustWrite: view.uncertain !== null,
    });
  }

  async #write(
    view: RoomView,
    base: RoomRecord,
    next: RoomRecord,
    deadline: number,
    isNew: boolean,
  ) {
    try {
      return await this.#deps.store.compareAndSet(base.version, next, deadline, isNew);
    } catch (cause) {
      // Perhaps it was made, perhaps it yet will be: the next change is made in any case, and makes this one void.
      this.#doubt(view, base, next);
      throw cause;
    }
  }

  #doubt(view: RoomView, base: RoomRecord, next: RoomRecord): void {
    view.uncertain ??= new Set();
    for (const node of [...base.nodes, ...next.nodes]) view.uncertain.add(node);
    this.#deps.reconcileSoon(view);
  }

  #tell(
    view: RoomView,
    base: RoomRecord,
    planned: Plan,
    event: RoomEvent | null,
    incarnation: number,
  ): void {
    const { lease, views, connections, counters, sendQueue } = this.#deps;
    const { reconciled, next, effects } = planned;
    const subject = subjectOf(event);
    const waiting = view.uncertain;
    const here = catchUp(
      view.known,
      reconciled,
      (id) => view.seats.has(id) && id !== leaverOf(event),
    );
    if (here.length > 0 && event === null) counters.caughtUp += 1;
    for (const { member, incarnation: earlier } of view.seats.values()) {
      if (earlier === incarnation) continue;
      if (nodeOf(next, member.connectionId) === undefined) counters.refusedReclaims += 1;
      else counters.reclaims += 1;
    }
    const isHere = (id: string) => view.seats.has(id) || id === subject;
    const told = [...here, ...effects.filter(({ to }) => isHere(to))];

    view.exact = true;
    view.endedGeneration = null;
    view.uncertain = null;
    views.settle(view);
    views.adopt(
      view,
      next,
      incarnation,
      event?.kind === 'join' ? event.member.connectionId : undefined,
    );
    for (const effect of told) connections.deliver(effect);

    // Who is refused may be so for members that are none any more: their nodes look.
    const isRefused =
      event?.kind === 'join' && nodeOf(next, event.member.connectionId) === undefined;
    if (!planned.changed && !isRefused) return;
    const processes = new Set([...base.nodes, ...next.nodes, ...(waiting ?? [])].map(processOf));
    processes.delete(lease.processId);
    for (const processId of processes) {
      const isThere = (id: string) => {
        const node = nodeOf(next, id) ?? nodeOf(reconciled, id);
        return node !== undefined && processOf(node) === processId;
      };
      const updates: Effect[] = catchUp(base, reconciled, isThere);
      updates.push(...effects.filter(({ to }) => isThere(to)));
      sendQueue.update(processId, {
        kind: 'update',
        previous: base.version,
        record: next,
        effects: updates,
      });
    }
  }
}

/** The connection that an event is about: it is told of it whether it has a seat or not. */
function subjectOf(event: RoomEvent | null): string | undefined {
  return event?.kind === 'join' ? event.member.connectionId : leaverOf(event);
}

const leaverOf = (event: RoomEvent | null): string | undefined =>
  event === null || event.kind === 'join' ? undefined : event.connectionId;
