// Holds the rooms in which this node has members, and changes them: by a local event, written by compare-and-set, or by
// an update of another node.
import type { Cancel, Clock } from '../../base/clock.js';
import { Unavailable } from '../../base/failures.js';
import type { Departure, LocalConnections } from '../backplane.js';
import {
  type Effect,
  type Member,
  type PairedDevices,
  type RoomEvent,
  transition,
} from '../room.js';
import type { NodeStreams } from './acknowledged-streams.js';
import type { ClusterCounters } from './metrics.js';
import { type NodeLease, processOf } from './node-lease.js';
import type { RoomUpdate } from './node-messages.js';
import { catchUp, type ReconciledRoom, type Reconciliation, reconcile } from './reconcile.js';
import {
  absentRecord,
  nodeOf,
  type RoomRecord,
  type RoomRecordStore,
  type SeatedMember,
  type SetOutcome,
} from './room-record.js';
import { SerialQueue } from './serial-queue.js';

/** Attempts of one change. More conflicts in a row mean that two nodes undo each other's changes, which is a bug. */
const MAX_TRIES = 30;
/** Rooms in which this node has no member, but whose record does not show that yet. Beyond this, joins are refused. */
const MAX_ROOMS_BEHIND = 100_000;
/** Rooms that are read concurrently. */
const AT_ONCE = 64;
/** Period of the regular read of every room, which also extends its record. */
export const ROUND_MS = 10 * 60_000;
/** Delay before a room is read again after a failed change, or with seats to release. */
const SOON_MS = 1000;

/** The parts of a node that its rooms use. */
export interface NodeParts {
  store: RoomRecordStore;
  lease: NodeLease;
  streams: NodeStreams;
  connections: LocalConnections;
  counters: ClusterCounters;
  clock: Clock;
  onError(error: unknown): void;
}

/** The seat of a connection of this node. */
export interface LocalSeat {
  readonly room: LocalRoom;
  /** The lease that the record store has for it. */
  readonly lease: string;
  readonly peerId: string | null;
  /** The process of the peer; null: this process, or no peer. */
  readonly peerProcess: string | null;
  readonly generation: number;
}

/** The rooms of a node. Reconciles them with bounded concurrency: after losses, and regularly. */
export class LocalRooms {
  readonly node: NodeParts;
  /** The seat of each connection of this node. */
  readonly seats = new Map<string, LocalSeat>();
  /** Joins in progress. The record store may have their seats before `seats` has them. */
  readonly joining = new Map<string, LocalRoom>();
  readonly #rooms = new Map<string, LocalRoom>();
  readonly #stopRounds: Cancel;
  /** Rooms to reconcile first; the last element is the next one. */
  readonly #urgent: LocalRoom[] = [];
  #due: LocalRoom[] = [];
  readonly #soon = new Set<LocalRoom>();
  #cancelSoon: Cancel | undefined;
  #active = 0;
  #stopped = false;

  constructor(node: NodeParts) {
    this.node = node;
    this.#stopRounds = node.clock.every(ROUND_MS, () => this.reconcileAll());
  }

  [Symbol.iterator](): Iterator<LocalRoom> {
    return this.#rooms.values();
  }

  /** Whether too many rooms without members here wait for the record store. */
  get isFull(): boolean {
    return this.#rooms.size >= this.seats.size + MAX_ROOMS_BEHIND;
  }

  /** A room, or a new one. It is kept while it matters, or has a task. */
  open(roomId: string): LocalRoom {
    const known = this.#rooms.get(roomId);
    if (known !== undefined) return known;
    const room = new LocalRoom(roomId, this, () => {
      // A forgotten room may still run a task when another one of this id is open.
      if (this.#rooms.get(roomId) === room) this.#rooms.delete(roomId);
    });
    this.#rooms.set(roomId, room);
    return room;
  }

  reconcileAll(): void {
    this.#due = [...this];
    this.#work();
  }

  /** Reads rooms before those of {@link reconcileAll}. */
  reconcileNow(rooms: Iterable<LocalRoom>): void {
    for (const room of rooms) this.#urgent.push(room);
    this.#work();
  }

  reconcileSoon(room: LocalRoom): void {
    if (this.#stopped) return;
    this.#soon.add(room);
    this.#cancelSoon ??= this.node.clock.after(SOON_MS, () => {
      this.#cancelSoon = undefined;
      this.reconcileNow(this.#soon);
      this.#soon.clear();
    });
  }

  /** Starts no further reads, and resolves when the tasks of all rooms have ended. */
  async close(): Promise<void> {
    this.#stopped = true;
    this.#stopRounds();
    this.#cancelSoon?.();
    for (const { queue } of this) await queue.run(async () => {}, false);
  }

  #work(): void {
    const { lease, onError } = this.node;
    if (lease.state === 'away') {
      // Nothing can be read now, and a new lease causes a read of all rooms.
      this.#urgent.length = 0;
      this.#due.length = 0;
    }
    while (this.#active < AT_ONCE && !this.#stopped) {
      const room = this.#urgent.pop() ?? this.#due.pop();
      if (room === undefined) break;
      // A room with its first join in progress may matter when it is read.
      if (!room.matters && !room.queue.busy) continue;
      this.#active += 1;
      room.queue
        .run(() => room.reconcile())
        .catch((error: unknown) => {
          onError(error);
          if (lease.state === 'valid') this.reconcileSoon(room);
        })
        .finally(() => {
          this.#active -= 1;
          this.#work();
        });
    }
  }
}

export class LocalRoom implements ReconciledRoom {
  readonly queue: SerialQueue;
  readonly #rooms: LocalRooms;
  readonly #node: NodeParts;
  known: RoomRecord;
  unsettled: Set<string> | null = null;
  endedGeneration: number | null = null;
  readonly seats = new Set<string>();
  /** Number of its members' frames in the queue. */
  held = 0;

  constructor(roomId: string, rooms: LocalRooms, forget: () => void) {
    this.#rooms = rooms;
    this.#node = rooms.node;
    this.known = absentRecord(roomId);
    const onIdle = () => {
      if (!this.matters) forget();
    };
    this.queue = new SerialQueue(onIdle, this.#node.onError);
  }

  /** Whether this room has to be written to or read from the record store. */
  get matters(): boolean {
    return this.seats.size > 0 || this.unsettled !== null;
  }

  isStale(connectionId: string): boolean {
    return !this.seats.has(connectionId) && !this.#rooms.joining.has(connectionId);
  }

  /** Claims a seat, and gives up the one in the room `leaving`. Resolves to whether the member has a seat here. */
  async join(member: Member, devices: PairedDevices | null, leaving: string | null) {
    const { connectionId } = member;
    const { joining, node } = this.#rooms;
    const claim = async () => {
      if (!this.seats.has(connectionId) && (await node.lease.isAfterLoss())) {
        throw new Unavailable(
          new Error('Redis has lost its data: nodes enter their members first'),
        );
      }
      const record = await this.#change({ kind: 'join', member, devices });
      return nodeOf(record, connectionId) !== undefined;
    };
    joining.set(connectionId, this);
    try {
      const isSeated = await this.queue.run(claim);
      if (isSeated && leaving !== null && leaving !== this.known.roomId) {
        await this.#rooms.open(leaving).depart(connectionId, 'move');
      }
      return isSeated;
    } finally {
      joining.delete(connectionId);
    }
  }

  /** Gives a seat up, in any case here. */
  depart(connectionId: string, how: Departure | 'move'): Promise<void> {
    const release = async () => {
      if (how !== 'move' && !this.seats.has(connectionId)) return;
      try {
        await this.#change({ kind: how, connectionId });
      } catch (error) {
        this.#node.onError(error);
        this.#departHere(connectionId, how);
      }
    };
    return this.queue.run(release, false);
  }

  /** Reads the room and reconciles it. To be called in the queue. */
  async reconcile(): Promise<void> {
    if (this.matters) await this.#change(null);
  }

  /** Applies an update after the queued tasks. */
  receive(update: RoomUpdate): void {
    if (!this.queue.push(() => this.#apply(update))) this.#rooms.reconcileSoon(this);
  }

  /** Tells the members here that their unreachable peer is gone. To be called in the queue. */
  partition(): void {
    const { members, generation } = this.known;
    const peer = members.find(({ connectionId }) => !this.seats.has(connectionId));
    if (this.#node.lease.state !== 'away' || this.seats.size === 0 || !peer) return;
    this.endedGeneration = Math.max(this.endedGeneration ?? 0, generation);
    this.#departHere(peer.connectionId, 'disconnect');
  }

  /** Ends a generation in which a frame was lost: both members get `peer_disconnected` and `room_ready`. */
  endGeneration(generation: number): void {
    if (generation < this.known.generation || generation <= (this.endedGeneration ?? 0)) return;
    this.endedGeneration = generation;
    this.#rooms.reconcileNow([this]);
  }

  /**
   * Changes the room by an event, or only reconciles it. Resolves to its new record.
   *
   * @throws Unavailable if the change cannot be made, or if its outcome is unknown: it may still take effect
   */
  async #change(event: RoomEvent | null): Promise<RoomRecord> {
    const { store, lease, counters, clock } = this.#node;
    const { roomId } = this.known;
    // Usually the known record is the present one; otherwise the write returns the present record. Null: to be read.
    const isKnown = this.unsettled === null && this.seats.size > 0;
    let base = event === null ? null : isKnown ? this.known : absentRecord(roomId);
    let isFresh = false;
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      if (base === null) {
        base = await store.read(roomId);
        isFresh = true;
      }
      await this.#mayAct();
      // An unknown lease is new, or has ended.
      const isUnknown = ({ node }: SeatedMember) =>
        !lease.alive.has(node) && processOf(node) !== lease.processId;
      if (base.members.some(isUnknown)) await this.#askLeases();
      const { id, deadline } = lease;
      const reconciled = reconcile(base, event, this, lease, clock.now());
      const { next, changed, lost } = reconciled;
      if (!changed && !isFresh) {
        base = null;
        continue;
      }
      if (lost) {
        await this.#askLeases();
        if (lease.id !== id) continue;
      }
      if (changed) {
        const isNew = event?.kind === 'join' && this.seats.size === 0 && base.version === 0;
        let outcome: SetOutcome;
        try {
          outcome = await store.compareAndSet(base.version, next, deadline, isNew);
        } catch (error) {
          // The change may still take effect. The next one is always written, and makes it void.
          this.#unsettle(...base.members, ...next.members);
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
      await lease.verdict();
      const isHeld = lease.state === 'valid' && lease.id === id;
      if (!isHeld && (event === null || event.kind === 'join')) {
        // Other nodes may treat the lease as expired, so members are told after a write under a new lease.
        this.#unsettle(...base.members, ...next.members);
        base = next;
        isFresh = false;
        continue;
      }
      this.#tell(base, reconciled, event, id);
      return next;
    }
    throw new Unavailable(new Error('a room changed too often'));
  }

  async #mayAct(): Promise<void> {
    const { lease } = this.#node;
    await lease.verdict();
    if (lease.state !== 'valid') throw new Unavailable(new Error('no lease'));
  }

  /** Throws without an answer, because then no node may be treated as dead, and no seat as lost. */
  async #askLeases(): Promise<void> {
    if (!(await this.#node.lease.ask())) throw new Unavailable(new Error('no leases'));
    await this.#mayAct();
  }

  #unsettle(...nodes: SeatedMember[]): void {
    this.unsettled ??= new Set();
    for (const { node } of nodes) this.unsettled.add(node);
    this.#rooms.reconcileSoon(this);
  }

  #tell(
    base: RoomRecord,
    reconciled: Reconciliation,
    event: RoomEvent | null,
    lease: string,
  ): void {
    const { next, gone, effects, changed } = reconciled;
    const { counters, streams } = this.#node;
    const joiner = event?.kind === 'join' ? event.member.connectionId : undefined;
    const leaver = event?.kind === 'join' ? undefined : event?.connectionId;
    for (const id of this.seats) {
      if (nodeOf(this.known, id) === lease) continue;
      counters[nodeOf(next, id) === undefined ? 'refusedReclaims' : 'reclaims'] += 1;
    }
    const isOther = (id: string) => this.seats.has(id) && id !== joiner && id !== leaver;
    const told = [...effects, ...catchUp(this.known, next, isOther, gone)];
    const uncertain = this.unsettled ?? [];
    this.unsettled = null;
    this.endedGeneration = null;
    this.#adopt(next, told, joiner);

    // After a refused join, the nodes of the members check whether the seats are stale.
    const isRefused = joiner !== undefined && nodeOf(next, joiner) === undefined;
    if (!changed && !isRefused) return;
    const nodes = [...base.members, ...next.members].map(({ node }) => node);
    const processes = new Set([...nodes, ...uncertain].map(processOf));
    processes.delete(this.#node.lease.processId);
    for (const processId of processes)
      streams.update(processId, { kind: 'update', record: next, gone });
  }

  async #apply({ record, gone }: RoomUpdate): Promise<void> {
    const { lease } = this.#node;
    await lease.verdict();
    // While the lease is away, updates are dropped: all rooms are read when the store is reachable again.
    if (lease.state !== 'valid') return;
    // The store may have lost a departure.
    const isLost = ({ node, connectionId }: SeatedMember) =>
      node === lease.id && this.isStale(connectionId);
    if (record.members.some(isLost)) {
      await this.#change(null).catch((error) => {
        // The room is kept, and tries again.
        this.#unsettle();
        throw error;
      });
    }
    if (!this.matters || record.version <= this.known.version) return;
    const isHere = (id: string) => this.seats.has(id);
    // Another node removed it because the lease seemed to have ended; it may be claimed again.
    const isMissing = (id: string) => nodeOf(record, id) === undefined && gone[id] !== 'replaced';
    if (this.unsettled !== null || [...this.seats].some(isMissing)) return this.reconcile();
    this.#adopt(record, catchUp(this.known, record, isHere, gone));
  }

  /** Applies a departure only here; the record store is told when it is reachable. */
  #departHere(connectionId: string, how: Departure | 'move'): void {
    const { effects } = transition(this.known, { kind: how, connectionId });
    const told = effects.filter(({ to }) => this.seats.has(to));
    const members = this.known.members.filter((member) => member.connectionId !== connectionId);
    this.#unsettle();
    this.#adopt({ ...this.known, members }, told);
  }

  /**
   * Takes a record as what the members here are told. Those in the record get their seats by it, the others lose them.
   *
   * @param joiner - a connection of this node that sits here from now on
   */
  #adopt(record: RoomRecord, told: readonly Effect[], joiner?: string): void {
    const { seats } = this.#rooms;
    this.known = record;
    if (joiner !== undefined && nodeOf(record, joiner) !== undefined) {
      this.seats.add(joiner);
      // From now on, no frame of the old room reaches a connection that moves.
      const left = seats.get(joiner)?.room;
      if (left !== this && left?.seats.delete(joiner)) left.#seatMembers();
    }
    for (const id of this.seats) {
      if (nodeOf(record, id) !== undefined) continue;
      this.seats.delete(id);
      seats.delete(id);
    }
    this.#seatMembers();
    for (const effect of told) this.#node.connections.deliver(effect);
  }

  /** Sets the seats of the members here by the known record. */
  #seatMembers(): void {
    for (const { connectionId, node: lease } of this.known.members) {
      if (!this.seats.has(connectionId)) continue;
      const { generation } = this.known;
      const peer = this.known.members.find((other) => other.connectionId !== connectionId);
      const processId = peer === undefined ? null : processOf(peer.node);
      const isHere = processId === this.#node.lease.processId;
      // A moved connection of this node stays in the record until its seat is released.
      const isPeer = peer !== undefined && (!isHere || this.seats.has(peer.connectionId));
      const peerId = isPeer ? peer.connectionId : null;
      const peerProcess = isHere ? null : processId;
      const seat = { room: this, lease, peerId, peerProcess, generation };
      this.#rooms.seats.set(connectionId, seat);
    }
  }
}
