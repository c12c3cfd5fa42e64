// Backplane of one node among many: rooms in a record store that all share, every change a run of room.ts, frames from node to node.
//
// docs/cluster.md has the protocol. What can be lost on the way (a notice, a node, the record store itself) is found again by
// reading the room: `look`. Nothing here knows what the store, the leases and the inboxes are made of.
import type { Clock } from '../../platform/clock.js';
import { Unavailable } from '../../platform/http-errors.js';
import type { Logger } from '../../platform/logger.js';
import type { Backplane, Departure, LocalConnections } from '../backplane.js';
import { type Member, type PairedDevices, transition } from '../room.js';
import { type ClusterCounters, newCounters } from './metrics.js';
import { type LeaseRegistry, NodeLease, processOf } from './node-lease.js';
import { decodeMessage } from './node-messages.js';
import { type Publisher, Receiver, SendQueue } from './node-streams.js';
import { PeerFrames } from './peer-frames.js';
import { Reconciler } from './reconciler.js';
import { RoomChanges, type RoomRecordStore } from './room-changes.js';
import { nodeOf } from './room-record.js';
import { RoomUpdates } from './room-updates.js';
import { type RoomView, RoomViews } from './room-view.js';

export interface ClusterParts {
  /** Names this process among all that ever were; its inbox goes by it. */
  processId: string;
  store: RoomRecordStore;
  leases: LeaseRegistry;
  publisher: Publisher;
  clock: Clock;
  log: Logger;
  leaseMs: number;
}

/** Seats that may wait to be given up; beyond, the lease is given up, and with it all of them. */
const MAX_RELEASES = 100_000;

export class ClusterBackplane implements Backplane {
  readonly counters: ClusterCounters = newCounters();
  readonly lease: NodeLease;
  readonly #parts: ClusterParts;
  readonly #connections: LocalConnections;
  readonly #views: RoomViews;
  readonly #sendQueue: SendQueue;
  readonly #changes: RoomChanges;
  readonly #updates: RoomUpdates;
  readonly #frames: PeerFrames;
  readonly #reconciler: Reconciler;
  readonly #joining = new Map<string, RoomView>();
  readonly #receiver: Receiver;
  #alive: ReadonlySet<string> = new Set();
  /** The processes of those leases. */
  #living: ReadonlySet<string> = new Set();
  #isDuplicated = false;

  constructor(connections: LocalConnections, parts: ClusterParts) {
    const { processId, store, leases, publisher, clock, leaseMs } = parts;
    const { counters } = this;
    this.#parts = parts;
    this.#connections = connections;
    this.#views = new RoomViews(processId, this.#report);
    const sending = { processId, publisher, clock, counters, onError: this.#report };
    this.#receiver = new Receiver(sending);
    this.#sendQueue = new SendQueue({
      ...sending,
      isAlive: (id) => this.#living.has(id),
      onLost: (from, generation) => {
        const seat = this.#views.seatOf(from);
        if (seat?.generation === generation) this.#updates.endGeneration(seat.view, generation);
      },
    });
    const events = {
      alive: (ids: ReadonlySet<string>) => this.#watch(ids),
      away: () => this.#part(),
      regained: () => this.#regain(),
      failed: this.#report,
    };
    this.lease = new NodeLease(leases, clock, leaseMs, events, processId);
    const { lease } = this;
    const joining = this.#joining;
    const shared = { lease, views: this.#views, connections, counters, joining };
    const reconcileSoon = (view: RoomView) => this.#reconciler.soon(view);
    const reconcileNow = (view: RoomView) => this.#reconciler.now(view);
    const sendQueue = this.#sendQueue;
    this.#changes = new RoomChanges({ ...shared, store, sendQueue, clock, reconcileSoon });
    this.#updates = new RoomUpdates({
      ...shared,
      changes: this.#changes,
      reconcileSoon,
      reconcileNow,
    });
    this.#frames = new PeerFrames({ ...shared, updates: this.#updates, sendQueue });
    this.#reconciler = new Reconciler(this.#views, this.#updates, lease, clock, this.#report);
    lease.hurry();
  }

  async join(
    roomId: string,
    member: Member,
    devices: PairedDevices | null,
    leaving: string | null,
  ): Promise<boolean> {
    const { connectionId } = member;
    const view = this.#views.open(roomId);
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

  async depart(roomId: string, connectionId: string, how: Departure): Promise<void> {
    await this.#release(roomId, connectionId, how);
  }

  forward(from: string, to: string, frame: string): boolean {
    return this.#frames.forward(from, to, frame);
  }

  reaches(from: string, to: string): boolean {
    return this.#frames.reaches(from, to);
  }

  async roomCount(): Promise<number> {
    return this.#views.occupied;
  }

  async rooms() {
    const records = await this.#parts.store.list();
    await this.lease.ask();
    return records
      .map(({ state, nodes }) => ({
        roomId: state.roomId,
        // Those of dead nodes stay in the record store until somebody comes to the room.
        members: nodes.filter((node) => this.lease.isAlive(node)).length,
      }))
      .filter(({ members }) => members > 0);
  }

  /** Takes what came for this node. */
  receive(text: string): void {
    const message = decodeMessage(text);
    if (message === undefined) {
      if (this.counters.unreadable === 0) {
        this.#parts.log.warn('messages from a node of another version are dropped');
      }
      this.counters.unreadable += 1;
    } else if ('isGap' in message) {
      this.#sendQueue.acknowledged(message);
    } else {
      this.counters.batchesReceived += 1;
      for (const item of this.#receiver.take(message, text.length)) {
        if (item.kind === 'frame') this.#frames.receive(item);
        else if (item.kind === 'update') this.#updates.receive(item);
        else this.#reconciler.all((view) => sitsOpposite(view, message.processId));
      }
    }
  }

  /** To be called when the inbox hears again, after it may have missed something. */
  resubscribed(): void {
    this.lease.hurry();
    this.#reconciler.all();
  }

  /** Rejects while this node may not act on its seats, or another node has its id. */
  async check(): Promise<void> {
    if (this.#isDuplicated) throw new Error('another node has the id of this one');
    if (!this.lease.acts || this.lease.state !== 'valid') throw new Error('no lease');
  }

  /** Nodes whose lease runs, as far as is known, this one included. */
  get nodes(): number {
    return this.#living.size;
  }

  /** Whether anything is under way. */
  get busy(): boolean {
    if (this.#sendQueue.busy || this.#reconciler.busy) return true;
    for (const { queue } of this.#views) if (queue.busy) return true;
    return false;
  }

  async close(): Promise<void> {
    this.#reconciler.stop();
    for (const { queue } of this.#views) await queue.mustRun(async () => {});
    await this.#reconciler.idle();
    await this.#sendQueue.close();
    this.#receiver.close();
    // Where it cannot be told, others wait until it has run out.
    await this.lease.stop().catch(() => {});
  }

  async #claim(view: RoomView, member: Member, devices: PairedDevices | null): Promise<boolean> {
    const { connectionId } = member;
    if (!view.seats.has(connectionId) && (await this.lease.isAfterLoss())) {
      throw new Unavailable(new Error('Redis has lost its data: who sits is entered again first'));
    }
    try {
      const event = { kind: 'join', member, devices } as const;
      const record = await this.#changes.change(view, event);
      const isSeated = nodeOf(record, connectionId) !== undefined;
      if (!isSeated) this.#updates.findGhosts(record);
      return isSeated;
    } catch (error) {
      // It may have got its seat, or yet get it.
      if (view.uncertain !== null && !view.seats.has(connectionId)) {
        this.#owe(view, connectionId, 'disconnect');
      }
      throw error;
    }
  }

  async #release(roomId: string, connectionId: string, how: Departure | 'move'): Promise<void> {
    const view = this.#views.open(roomId);
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

  /** The record store cannot be reached: who goes is gone for this node, and others learn of it later. */
  #releaseHere(view: RoomView, connectionId: string, how: Departure | 'move'): void {
    const { known } = view;
    const { room, effects } = transition(known.state, { kind: how, connectionId });
    const told = effects.filter(({ to }) => view.seats.has(to));
    const nodes = room.members.map((member) => nodeOf(known, member.connectionId) as string);
    this.#views.vacate(view, connectionId);
    const [seat] = view.seats.values();
    view.exact = false;
    this.#views.adopt(view, { ...known, state: room, nodes }, seat?.incarnation ?? 0);
    this.#owe(view, connectionId, how);
    for (const effect of told) this.#connections.deliver(effect);
  }

  #owe(view: RoomView, connectionId: string, how: Departure | 'move'): void {
    this.#views.owe(view, connectionId, how);
    this.#reconciler.soon(view);
    if (this.#views.owed <= MAX_RELEASES) return;
    for (const each of this.#views) this.#views.settle(each);
    this.lease.abandon();
  }

  /** Logs a failure unless it is an outage of Redis, which is logged where the connection is. */
  readonly #report = (error: unknown): void => {
    if (error instanceof Unavailable) return;
    this.#parts.log.error({ err: error }, 'room task failed');
  };

  #watch(alive: ReadonlySet<string>): void {
    const gone = new Set([...this.#alive].filter((id) => !alive.has(id)).map(processOf));
    this.#alive = alive;
    this.#living = new Set([...alive].map(processOf));
    gone.delete(this.lease.processId);
    const isDuplicated = [...alive].some((id) => this.lease.isDuplicate(id));
    // Frames for the one reach the other too: neither can tell what it has missed.
    if (isDuplicated && !this.#isDuplicated) {
      this.#parts.log.error('another node has the id of this one: restart one of them');
    }
    this.#isDuplicated = isDuplicated;
    if (gone.size === 0) return;
    this.counters.deadNodes += gone.size;
    this.#parts.log.warn({ nodes: gone.size }, 'nodes gone');
    for (const processId of gone) {
      if (this.#living.has(processId)) continue;
      this.#sendQueue.forget(processId);
      this.#receiver.forget(processId);
    }
    this.#reconciler.urgent((view) => [...gone].some((processId) => sitsOpposite(view, processId)));
  }

  #part(): void {
    this.#parts.log.error('rooms cannot be reached');
    for (const view of this.#views) view.queue.must(() => this.#updates.partition(view));
  }

  #regain(): void {
    this.#parts.log.info({ losses: this.lease.losses }, 'rooms can be reached');
    this.#reconciler.all();
  }
}

function sitsOpposite(view: RoomView, processId: string): boolean {
  for (const { peerProcess } of view.seats.values()) if (peerProcess === processId) return true;
  return false;
}
