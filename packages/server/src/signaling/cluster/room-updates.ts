// News of rooms from other nodes, and what is done where news was lost, or cannot come.
import type { LocalConnections } from '../backplane.js';
import { transition } from '../room.js';
import { catchUp } from './catch-up.js';
import type { ClusterCounters } from './metrics.js';
import type { NodeLease } from './node-lease.js';
import type { RoomUpdate } from './node-messages.js';
import type { RoomChanges } from './room-changes.js';
import type { RoomRecord } from './room-record.js';
import type { RoomView, RoomViews } from './room-view.js';

export interface RoomUpdatesDeps {
  lease: NodeLease;
  views: RoomViews;
  changes: RoomChanges;
  connections: LocalConnections;
  counters: ClusterCounters;
  /** Connections whose join is under way: the record store may know of their seat before they do. */
  joining: ReadonlyMap<string, RoomView>;
  /** Has a room read in a while. */
  reconcileSoon: (view: RoomView) => void;
  /** Has a room read at once. */
  reconcileNow: (view: RoomView) => void;
}

export class RoomUpdates {
  readonly #deps: RoomUpdatesDeps;

  constructor(deps: RoomUpdatesDeps) {
    this.#deps = deps;
  }

  /** Takes a notice, after whatever is under way in its room. */
  receive(update: RoomUpdate): void {
    const { views } = this.#deps;
    const { roomId } = update.record.state;
    const view = views.find(roomId);
    const fits = view?.queue.push(() => this.#apply(view, update));
    if (view !== undefined && !fits) this.#deps.reconcileSoon(view);
    this.findGhosts(update.record);
  }

  /** Gives the seats up that nobody here sits in. */
  findGhosts(record: RoomRecord): void {
    const { views } = this.#deps;
    const { roomId } = record.state;
    if (this.#ghosts(record, views.find(roomId)).length === 0) return;
    const view = views.open(roomId);
    const fits = view.queue.push(async () => {
      for (const id of this.#ghosts(record, view)) views.owe(view, id, 'disconnect');
      await this.reconcile(view);
    });
    if (!fits) this.#deps.reconcileSoon(view);
  }

  /** Members that are said to sit here, and do not: a record store that has lost its last changes may say so. */
  #ghosts({ state, nodes }: RoomRecord, view: RoomView | undefined): string[] {
    const { lease, joining } = this.#deps;
    return state.members
      .filter((_, at) => nodes[at] === lease.id)
      .map(({ connectionId }) => connectionId)
      .filter((id) => !view?.seats.has(id) && !view?.releases.has(id) && !joining.has(id));
  }

  /** Reads a room anew and puts right what is wrong with it. In the queue of the room; a failure is for the reconciler. */
  async reconcile(view: RoomView): Promise<void> {
    if (view.matters) await this.#deps.changes.change(view, null);
  }

  /**
   * Parts the members here from those of other nodes, which cannot be reached: they are told that the peer is gone.
   * In the queue of the room.
   */
  partition(view: RoomView): void {
    const { lease, connections } = this.#deps;
    if (lease.state !== 'away') return;
    const { known } = view;
    const isHere = (id: string) => view.seats.has(id);
    const others = known.state.members.filter(({ connectionId }) => !isHere(connectionId));
    if (others.length === 0 || view.seats.size === 0) return;
    let { state } = known;
    for (const { connectionId } of others) {
      state = transition(state, { kind: 'disconnect', connectionId }).room;
    }
    const parted: RoomRecord = { ...known, state, nodes: state.members.map(() => lease.id) };
    view.endedGeneration = Math.max(view.endedGeneration ?? 0, known.generation);
    this.#adopt(view, parted);
    const effects = catchUp(known, parted, isHere);
    for (const effect of effects) connections.deliver(effect);
  }

  /** Ends a generation in which a frame was lost: both members are told that they meet anew. */
  endGeneration(view: RoomView, generation: number): void {
    if (generation < view.known.generation || generation <= (view.endedGeneration ?? 0)) return;
    view.endedGeneration = generation;
    this.#deps.reconcileNow(view);
  }

  async #apply(view: RoomView, update: RoomUpdate): Promise<void> {
    const { lease, connections, counters } = this.#deps;
    const { record, previous } = update;
    await lease.verdict();
    // Away: all rooms are read when the record store can be reached again.
    if (lease.state !== 'valid' || !view.matters || record.version <= view.known.version) return;
    const isHere = (id: string) => view.seats.has(id);
    const isNext = view.exact && previous === view.known.version;
    const mine = update.effects.filter(({ to }) => isHere(to));
    const isTold = (id: string) => mine.some(({ to, kind }) => to === id && kind === 'close');
    const isMissing = [...view.seats.keys()].some(
      (id) => !record.state.members.some(({ connectionId }) => connectionId === id) && !isTold(id),
    );
    if (isMissing || !view.exact || view.uncertain !== null) return this.reconcile(view);
    const effects = isNext ? mine : catchUp(view.known, record, isHere);
    if (!isNext) counters.caughtUp += 1;
    this.#adopt(view, record);
    view.exact = true;
    for (const effect of effects) connections.deliver(effect);
  }

  #adopt(view: RoomView, record: RoomRecord): void {
    view.exact = false;
    this.#deps.views.adopt(view, record, this.#incarnationOf(view));
  }

  /** News change nothing about the lease under which the members here sit. */
  #incarnationOf(view: RoomView): number {
    for (const { incarnation } of view.seats.values()) return incarnation;
    return this.#deps.lease.incarnation;
  }
}
