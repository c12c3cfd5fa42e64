// Changes rooms: by a local event, planned by `plan` and written by compare-and-set, or by an update of another node.
import type { Clock } from '../../base/clock.js';
import { Unavailable } from '../../base/failures.js';
import type { LocalConnections } from '../backplane.js';
import { type RoomEvent, transition } from '../room.js';
import type { NodeStreams } from './acknowledged-streams.js';
import type { ClusterCounters } from './metrics.js';
import { type NodeLease, processOf } from './node-lease.js';
import type { RoomUpdate } from './node-messages.js';
import type { Reconciler } from './reconciler.js';
import { catchUp, type Plan, plan } from './room-plan.js';
import { absentRecord, nodeOf, type RoomRecord } from './room-record.js';
import type { RoomView, RoomViews } from './room-view.js';

/** Keeps the records of all rooms. Rejects with `Unavailable` if it is unreachable; a change may then have been made. */
export interface RoomRecordStore {
  /** Resolves to the record, whose life is extended by some hours, or to {@link absentRecord}. */
  read(roomId: string): Promise<RoomRecord>;
  /**
   * Writes `next` if the version is still `expected`; 0: if there is no record.
   *
   * @param deadline - of the lease, by the clock of the store: nothing is written after it
   * @param isNew - whether no member is known: a full store refuses to create such a room
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
  /** The version differed; `record` is the present one. */
  | { kind: 'conflict'; record: RoomRecord }
  /** The deadline has passed. */
  | { kind: 'late' }
  /** There is no record, and no memory for one. Nothing was written. */
  | { kind: 'full'; cause: unknown };

/** Attempts of one change. More conflicts in a row mean that two nodes undo each other's changes, which is a bug. */
const MAX_TRIES = 30;

/** Shared by the parts of a node. */
export interface NodeParts {
  store: RoomRecordStore;
  lease: NodeLease;
  views: RoomViews;
  streams: NodeStreams;
  connections: LocalConnections;
  counters: ClusterCounters;
  clock: Clock;
  reconciler: Reconciler;
  /** Connections with a join in progress. The record store may have their seats before `views` has them. */
  joining: ReadonlyMap<string, RoomView>;
}

export class RoomChanges {
  readonly #parts: NodeParts;

  constructor(parts: NodeParts) {
    this.#parts = parts;
  }

  /**
   * Changes a room by an event, or only reconciles it. To be called in the queue of the room. Resolves to its new record.
   *
   * @throws Unavailable if the change cannot be made, or if its outcome is unknown: it may still take effect
   */
  async change(view: RoomView, event: RoomEvent | null): Promise<RoomRecord> {
    const { store, lease, counters } = this.#parts;
    const { roomId } = view;
    // Usually the known record is the present one; otherwise the write returns the present record.
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
      const { id: incarnation, deadline, processId } = lease;
      // An unknown lease is new, or has ended.
      if (base.nodes.some((node) => !lease.alive.has(node) && processOf(node) !== processId)) {
        await this.#askLeases();
        if (incarnation !== lease.id) continue;
      }
      const planned = this.#plan(view, base, event);
      if ((planned.lost && !isConfirmed) || (!planned.changed && !isFresh)) {
        // A decision needs a fresh lease and a fresh record.
        if (planned.lost) await this.#askLeases();
        isConfirmed = planned.lost;
        base = await store.read(roomId);
        isFresh = true;
        continue;
      }
      if (planned.changed) {
        const isNew = event?.kind === 'join' && view.seats.size === 0 && base.version === 0;
        let outcome: SetOutcome;
        try {
          outcome = await store.compareAndSet(base.version, planned.next, deadline, isNew);
        } catch (error) {
          // The change may still take effect. The next one is always written, and makes it void.
          this.#markUncertain(view, base, planned.next);
          throw error;
        }
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
      if (!lease.acts || lease.id !== incarnation) {
        await lease.verdict();
        if (lease.state !== 'valid' || lease.id !== incarnation) {
          // Other nodes may treat the lease as expired, so members are told after a write under a new lease.
          this.#markUncertain(view, base, planned.next);
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

  /** Reads a room and reconciles it. To be called in the queue of the room. */
  async reconcile(view: RoomView): Promise<void> {
    if (view.matters) await this.change(view, null);
  }

  /** Applies an update after the queued tasks of its room. */
  receive(update: RoomUpdate): void {
    const { views, reconciler } = this.#parts;
    const view = views.find(update.record.state.roomId);
    const fits = view?.queue.push(() => this.#apply(view, update));
    if (view !== undefined && !fits) reconciler.soon(view);
    this.releaseStaleSeats(update.record);
  }

  /** Releases seats of this node in a record that have no connection here. */
  releaseStaleSeats(record: RoomRecord): void {
    const { views, reconciler } = this.#parts;
    const { roomId } = record.state;
    if (this.#staleSeats(record, views.find(roomId)).length === 0) return;
    const view = views.open(roomId);
    const fits = view.queue.push(async () => {
      for (const id of this.#staleSeats(record, view)) views.owe(view, id, 'disconnect');
      await this.reconcile(view);
    });
    if (!fits) reconciler.soon(view);
  }

  /** Tells the members here that their unreachable peers are gone. To be called in the queue of the room. */
  partition(view: RoomView): void {
    const { lease, connections } = this.#parts;
    if (lease.state !== 'away') return;
    const { known } = view;
    const isHere = (id: string) => view.seats.has(id);
    const others = known.state.members.filter(({ connectionId }) => !isHere(connectionId));
    if (others.length === 0 || view.seats.size === 0) return;
    let { state } = known;
    for (const { connectionId } of others) {
      state = transition(state, { kind: 'disconnect', connectionId }).room;
    }
    const alone: RoomRecord = { ...known, state, nodes: state.members.map(() => lease.id) };
    view.endedGeneration = Math.max(view.endedGeneration ?? 0, known.generation);
    this.#adopt(view, alone, false);
    for (const effect of catchUp(known, alone, isHere)) connections.deliver(effect);
  }

  /** Ends a generation in which a frame was lost: both members get `peer_disconnected` and `room_ready`. */
  endGeneration(view: RoomView, generation: number): void {
    if (generation < view.known.generation || generation <= (view.endedGeneration ?? 0)) return;
    view.endedGeneration = generation;
    this.#parts.reconciler.now(view);
  }

  async #mayAct(): Promise<void> {
    const { lease } = this.#parts;
    await lease.verdict();
    if (lease.state !== 'valid') throw new Unavailable(new Error('no lease'));
  }

  /** Throws without an answer, because then no node may be treated as dead, and no seat as lost. */
  async #askLeases(): Promise<void> {
    if (!(await this.#parts.lease.ask())) throw new Unavailable(new Error('no leases'));
    await this.#mayAct();
  }

  #plan(view: RoomView, base: RoomRecord, event: RoomEvent | null): Plan {
    const { lease, clock, joining } = this.#parts;
    const { leaver } = subjectsOf(event);
    // In the order of the members; another order would change their roles.
    const held = view.known.state.members
      .flatMap(({ connectionId }) => view.seats.get(connectionId) ?? [])
      .filter(({ member }) => member.connectionId !== leaver)
      .map(({ member, incarnation }) => ({ member, claimed: incarnation === lease.id }));
    return plan(base, event, {
      node: lease.id,
      now: clock.now(),
      isDead: (node) => !lease.alive.has(node),
      held,
      known: view.known,
      exact: view.exact,
      isStale: (id) => !view.seats.has(id) && !joining.has(id) && id !== leaver,
      endedGeneration: view.endedGeneration,
      released: view.releases,
      mustWrite: view.uncertain !== null,
    });
  }

  #markUncertain(view: RoomView, base: RoomRecord, next: RoomRecord): void {
    view.uncertain ??= new Set();
    for (const node of [...base.nodes, ...next.nodes]) view.uncertain.add(node);
    this.#parts.reconciler.soon(view);
  }

  #tell(
    view: RoomView,
    base: RoomRecord,
    { reconciled, next, effects, changed }: Plan,
    event: RoomEvent | null,
    incarnation: string,
  ): void {
    const { lease, views, connections, counters, streams } = this.#parts;
    const { joiner, leaver } = subjectsOf(event);
    const { uncertain } = view;
    const isMember = (id: string) => view.seats.has(id) && id !== leaver;
    const here = catchUp(view.known, reconciled, isMember);
    if (here.length > 0 && event === null) counters.caughtUp += 1;
    for (const { member, incarnation: earlier } of view.seats.values()) {
      if (earlier === incarnation) continue;
      if (nodeOf(next, member.connectionId) === undefined) counters.refusedReclaims += 1;
      else counters.reclaims += 1;
    }
    // The subject of the event gets its effects with or without a seat.
    here.push(...effects.filter(({ to }) => view.seats.has(to) || to === joiner || to === leaver));

    view.exact = true;
    view.endedGeneration = null;
    view.uncertain = null;
    views.settle(view);
    views.adopt(view, next, incarnation, joiner);
    for (const effect of here) connections.deliver(effect);

    // After a refused join, the nodes of the members check whether the seats are stale.
    const isRefused = joiner !== undefined && nodeOf(next, joiner) === undefined;
    if (!changed && !isRefused) return;
    const processes = new Set([...base.nodes, ...next.nodes, ...(uncertain ?? [])].map(processOf));
    processes.delete(lease.processId);
    for (const processId of processes) {
      const isThere = (id: string) => {
        const node = nodeOf(next, id) ?? nodeOf(reconciled, id);
        return node !== undefined && processOf(node) === processId;
      };
      const there = catchUp(base, reconciled, isThere);
      there.push(...effects.filter(({ to }) => isThere(to)));
      const { version: previous } = base;
      streams.update(processId, { kind: 'update', previous, record: next, effects: there });
    }
  }

  async #apply(view: RoomView, { record, previous, effects }: RoomUpdate): Promise<void> {
    const { lease, connections, counters } = this.#parts;
    await lease.verdict();
    // While the lease is away, updates are dropped: all rooms are read when the store is reachable again.
    if (lease.state !== 'valid' || !view.matters || record.version <= view.known.version) return;
    const isHere = (id: string) => view.seats.has(id);
    const isNext = view.exact && previous === view.known.version;
    const mine = effects.filter(({ to }) => isHere(to));
    const isTold = (id: string) => mine.some(({ to, kind }) => to === id && kind === 'close');
    const isMissing = [...view.seats.keys()].some(
      (id) => nodeOf(record, id) === undefined && !isTold(id),
    );
    if (isMissing || !view.exact || view.uncertain !== null) return this.reconcile(view);
    const told = isNext ? mine : catchUp(view.known, record, isHere);
    if (!isNext) counters.caughtUp += 1;
    this.#adopt(view, record, true);
    for (const effect of told) connections.deliver(effect);
  }

  /** Adopts a record that this node has not written, so its members keep their lease. */
  #adopt(view: RoomView, record: RoomRecord, isExact: boolean): void {
    const { lease, views } = this.#parts;
    const [seat] = view.seats.values();
    view.exact = isExact;
    views.adopt(view, record, seat?.incarnation ?? lease.id);
  }

  /** Seats of this node in the record without a connection here, as after a loss of data in the store. */
  #staleSeats({ state, nodes }: RoomRecord, view: RoomView | undefined): string[] {
    const { lease, joining } = this.#parts;
    return state.members
      .filter((_, at) => nodes[at] === lease.id)
      .map(({ connectionId }) => connectionId)
      .filter((id) => !view?.seats.has(id) && !view?.releases.has(id) && !joining.has(id));
  }
}

function subjectsOf(event: RoomEvent | null): { joiner?: string; leaver?: string } {
  if (event === null) return {};
  return event.kind === 'join'
    ? { joiner: event.member.connectionId }
    : { leaver: event.connectionId };
}
