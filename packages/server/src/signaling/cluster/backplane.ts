// Implements the backplane of many nodes: rooms in a shared record store, changed by room.ts, and frames between nodes.
//
// docs/cluster.md describes the protocol. After a loss (of an update, a node, or the store), the room is read again.
// Nothing here depends on Redis.
import type { Clock } from '../../base/clock.js';
import { Unavailable } from '../../base/failures.js';
import type { Logger } from '../../observability/logger.js';
import type { Backplane, Departure, LocalConnections } from '../backplane.js';
import { type Member, type PairedDevices, transition } from '../room.js';
import { NodeStreams, type Publisher } from './acknowledged-streams.js';
import { newCounters } from './metrics.js';
import { type LeaseRegistry, NodeLease, processOf } from './node-lease.js';
import { decodeMessage } from './node-messages.js';
import { PeerFrames } from './peer-frames.js';
import { Reconciler } from './reconciler.js';
import { type NodeParts, RoomChanges, type RoomRecordStore } from './room-changes.js';
import { nodeOf } from './room-record.js';
import { type RoomView, RoomViews } from './room-view.js';

export interface ClusterParts {
  /** The unique id of this process, never reused; also the name of its channel. */
  processId: string;
  store: RoomRecordStore;
  leases: LeaseRegistry;
  publisher: Publisher;
  clock: Clock;
  log: Logger;
  leaseMs: number;
}

/** Seats that may wait for their release. Beyond this, the lease is given up, and all its seats with it. */
const MAX_RELEASES = 100_000;

export class ClusterBackplane implements Backplane {
  readonly counters = newCounters();
  readonly lease: NodeLease;
  readonly #log: Logger;
  readonly #parts: NodeParts;
  readonly #changes: RoomChanges;
  readonly #frames: PeerFrames;
  readonly #joining = new Map<string, RoomView>();
  #isDuplicated = false;

  constructor(
    connections: LocalConnections,
    { processId, store, leases, publisher, clock, log, leaseMs }: ClusterParts,
  ) {
    const { counters } = this;
    const onError = this.#report;
    this.#log = log;
    const events = {
      answered: (gone: readonly string[]) => this.#watch(gone),
      away: () => this.#partition(),
      regained: () => this.#regain(),
      failed: onError,
    };
    const lease = new NodeLease({ processId, registry: leases, clock, ttlMs: leaseMs, events });
    const views = new RoomViews(processId, onError);
    const streams = new NodeStreams({
      processId,
      publisher,
      clock,
      counters,
      isAlive: (id) => lease.processes.has(id),
      onLost: ({ from, generation }) => {
        const seat = views.seatOf(from);
        if (seat?.generation === generation) this.#changes.endGeneration(seat.view, generation);
      },
      onError,
    });
    const reconcile = (view: RoomView) => this.#changes.reconcile(view);
    const reconciler = new Reconciler({ views, lease, clock, reconcile, onError });
    const shared = { store, lease, views, streams, connections, counters, clock, reconciler };
    this.lease = lease;
    this.#parts = { ...shared, joining: this.#joining };
    this.#changes = new RoomChanges(this.#parts);
    this.#frames = new PeerFrames(this.#parts, this.#changes);
    lease.hurry();
  }

  async join(
    roomId: string,
    member: Member,
    devices: PairedDevices | null,
    leaving: string | null,
  ): Promise<boolean> {
    const { connectionId } = member;
    const view = this.#parts.views.open(roomId);
    this.#joining.set(connectionId, view);
    try {
      const isSeated = await view.queue.run(() => this.#claim(view, member, devices));
      if (isSeated && leaving !== null && leaving !== roomId) {
        await this.#release(leaving, connectionId, 'move');
      }
      return isSeated;
    } finally {
      this.#joining.delete(connectionId);
    }
  }

  depart(roomId: string, connectionId: string, how: Departure): Promise<void> {
    return this.#release(roomId, connectionId, how);
  }

  forward(from: string, to: string, frame: string): boolean {
    return this.#frames.forward(from, to, frame);
  }

  reaches(from: string, to: string): boolean {
    return this.#frames.reaches(from, to);
  }

  async roomCount(): Promise<number> {
    return this.#parts.views.occupied;
  }

  async rooms() {
    const records = await this.#parts.store.list();
    await this.lease.ask();
    return records
      .map(({ state: { roomId }, nodes }) => ({
        roomId,
        // Members of dead nodes stay in the record until it is changed.
        members: nodes.filter((node) => this.lease.alive.has(node)).length,
      }))
      .filter(({ members }) => members > 0);
  }

  /** Takes a message for this node. */
  receive(text: string): void {
    const message = decodeMessage(text);
    if (message === undefined) {
      if (this.counters.unreadable === 0) {
        this.#log.warn('messages from a node of another version are dropped');
      }
      this.counters.unreadable += 1;
      return;
    }
    for (const item of this.#parts.streams.take(message, text.length)) {
      if (item.kind === 'frame') this.#frames.receive(item);
      else if (item.kind === 'update') this.#changes.receive(item);
      else this.#parts.reconciler.all();
    }
  }

  /** To be called after a new subscription, because earlier messages may be lost. */
  resubscribed(): void {
    this.lease.hurry();
    this.#parts.reconciler.all();
  }

  /** Rejects while this node may not act on its seats, or another node has its id. */
  async check(): Promise<void> {
    if (this.lease.isDuplicated) throw new Error('another node has the id of this one');
    if (!this.lease.acts || this.lease.state !== 'valid') throw new Error('no lease');
  }

  get busy(): boolean {
    const { views, streams } = this.#parts;
    if (streams.busy) return true;
    for (const { queue } of views) if (queue.busy) return true;
    return false;
  }

  async close(): Promise<void> {
    const { views, streams, reconciler } = this.#parts;
    reconciler.stop();
    for (const { queue } of views) await queue.run(async () => {}, false);
    await streams.close();
    // If the release fails, other nodes wait for the expiry.
    await this.lease.stop().catch(() => {});
  }

  async #claim(view: RoomView, member: Member, devices: PairedDevices | null): Promise<boolean> {
    const { connectionId } = member;
    if (!view.seats.has(connectionId) && (await this.lease.isAfterLoss())) {
      throw new Unavailable(new Error('Redis has lost its data: nodes enter their members first'));
    }
    try {
      const record = await this.#changes.change(view, { kind: 'join', member, devices });
      const isSeated = nodeOf(record, connectionId) !== undefined;
      if (!isSeated) this.#changes.releaseStaleSeats(record);
      return isSeated;
    } catch (error) {
      // The claim may have taken effect, or may still do so.
      if (view.uncertain !== null && !view.seats.has(connectionId)) {
        this.#owe(view, connectionId, 'disconnect');
      }
      throw error;
    }
  }

  async #release(roomId: string, connectionId: string, how: Departure | 'move'): Promise<void> {
    const view = this.#parts.views.open(roomId);
    const release = async () => {
      if (how !== 'move' && !view.seats.has(connectionId)) return;
      try {
        await this.#changes.change(view, { kind: how, connectionId });
      } catch (error) {
        this.#report(error);
        this.#releaseHere(view, connectionId, how);
      }
    };
    await view.queue.run(release, false);
  }

  /** Gives a seat up on this node; the record store is told when it is reachable. */
  #releaseHere(view: RoomView, connectionId: string, how: Departure | 'move'): void {
    const { views, connections } = this.#parts;
    const { known } = view;
    const { room, effects } = transition(known.state, { kind: how, connectionId });
    const told = effects.filter(({ to }) => view.seats.has(to));
    const nodes = room.members.map((member) => nodeOf(known, member.connectionId) as string);
    views.vacate(view, connectionId);
    const [seat] = view.seats.values();
    view.exact = false;
    views.adopt(view, { ...known, state: room, nodes }, seat?.incarnation ?? '');
    this.#owe(view, connectionId, how);
    for (const effect of told) connections.deliver(effect);
  }

  #owe(view: RoomView, connectionId: string, how: Departure | 'move'): void {
    const { views, reconciler } = this.#parts;
    views.owe(view, connectionId, how);
    reconciler.soon(view);
    if (views.owed <= MAX_RELEASES) return;
    for (const each of views) views.settle(each);
    this.lease.abandon();
  }

  /** Does not log outages of Redis, because its connection logs them. */
  readonly #report = (error: unknown): void => {
    if (!(error instanceof Unavailable)) this.#log.error({ err: error }, 'room task failed');
  };

  #watch(gone: readonly string[]): void {
    const { isDuplicated, processId, processes } = this.lease;
    // Both processes then receive the frames of either, and cannot detect missing ones.
    if (isDuplicated && !this.#isDuplicated) {
      this.#log.error('another node has the id of this one: restart one of them');
    }
    this.#isDuplicated = isDuplicated;
    const others = new Set(gone.map(processOf));
    others.delete(processId);
    if (others.size === 0) return;
    this.counters.deadNodes += others.size;
    this.#log.warn({ nodes: others.size }, 'nodes gone');
    for (const id of others) if (!processes.has(id)) this.#parts.streams.forget(id);
    this.#parts.reconciler.urgent((view) => {
      const seats = [...view.seats.values()];
      return seats.some(({ peerProcess }) => peerProcess !== null && others.has(peerProcess));
    });
  }

  #partition(): void {
    this.#log.error('rooms cannot be reached');
    for (const view of this.#parts.views) {
      view.queue.push(() => this.#changes.partition(view), false);
    }
  }

  #regain(): void {
    this.#log.info({ losses: this.lease.losses }, 'rooms can be reached');
    this.#parts.reconciler.all();
  }
}
