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
  #aliveLeases: ReadonlySet<string> = new Set();
  #aliveProcesses: ReadonlySet<string> = new Set();
  #isDuplicated = false;

  constructor(
    connections: LocalConnections,
    { processId, store, leases, publisher, clock, log, leaseMs }: ClusterParts,
  ) {
    const { counters } = this;
    const onError = this.#report;
    this.#log = log;
    const events = {
      alive: (ids: ReadonlySet<string>) => this.#watch(ids),
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
      isAlive: (id) => this.#aliveProcesses.has(id),
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
        members: nodes.filter((node) => this.lease.isAlive(node)).length,
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
      else this.#parts.reconciler.all((view) => sitsOpposite(view, message.processId));
    }
  }

  /** To be called after a new subscription, because earlier messages may be lost. */
  resubscribed(): void {
    this.lease.hurry();
    this.#parts.reconciler.all();
  }

  /** Rejects while this node may not act on its seats, or another node has its id. */
  async check(): Promise<void> {
    if (this.#isDuplicated) throw new Error('another node has the id of this one');
    if (!this.lease.acts || this.lease.state !== 'valid') throw new Error('no lease');
  }

  /** Nodes with a valid lease by the last answer of the registry, including this one. */
  get nodes(): number {
    return this.#aliveProcesses.size;
  }

  get busy(): boolean {
    const { views, streams, reconciler } = this.#parts;
    if (streams.busy || reconciler.busy) return true;
    for (const { queue } of views) if (queue.busy) return true;
    return false;
  }

  async close(): Promise<void> {
    const { views, streams, reconciler } = this.#parts;
    await reconciler.stop();
    for (const { queue } of views) await queue.mustRun(async () => {});
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
    await view.queue.mustRun(async () => {
      if (how !== 'move' && !view.seats.has(connectionId)) return;
      try {
        await this.#changes.change(view, { kind: how, connectionId });
      } catch (error) {
        this.#report(error);
        this.#releaseHere(view, connectionId, how);
      }
    });
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
    views.adopt(view, { ...known, state: room, nodes }, seat?.incarnation ?? 0);
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

  #watch(alive: ReadonlySet<string>): void {
    const gone = new Set([...this.#aliveLeases].filter((id) => !alive.has(id)).map(processOf));
    this.#aliveLeases = alive;
    this.#aliveProcesses = new Set([...alive].map(processOf));
    gone.delete(this.lease.processId);
    // Both processes then receive the frames of either, and cannot detect missing ones.
    const isDuplicated = [...alive].some((id) => this.lease.isDuplicate(id));
    if (isDuplicated && !this.#isDuplicated) {
      this.#log.error('another node has the id of this one: restart one of them');
    }
    this.#isDuplicated = isDuplicated;
    if (gone.size === 0) return;
    this.counters.deadNodes += gone.size;
    this.#log.warn({ nodes: gone.size }, 'nodes gone');
    for (const processId of gone) {
      if (!this.#aliveProcesses.has(processId)) this.#parts.streams.forget(processId);
    }
    this.#parts.reconciler.urgent((view) => [...gone].some((id) => sitsOpposite(view, id)));
  }

  #partition(): void {
    this.#log.error('rooms cannot be reached');
    for (const view of this.#parts.views) {
      view.queue.push(() => this.#changes.partition(view), Number.POSITIVE_INFINITY);
    }
  }

  #regain(): void {
    this.#log.info({ losses: this.lease.losses }, 'rooms can be reached');
    this.#parts.reconciler.all();
  }
}

function sitsOpposite(view: RoomView, processId: string): boolean {
  for (const { peerProcess } of view.seats.values()) if (peerProcess === processId) return true;
  return false;
}
