// Holds the rooms in which this node has members, and changes them: by a local event, written by compare-and-set, or by
// an update of another node.
import type { Clock } from '../../base/clock.js';
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
import { Reconciler } from './reconciler.js';
import { catchUp, type Plan, type PlannedRoom, plan } from './room-plan.js';
import { absentRecord, nodeOf, type RoomRecord } from './room-record.js';
import { SerialQueue } from './serial-queue.js';

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
/** Seats that may wait for their release. Beyond this, the lease is given up, and all its seats with it. */
const MAX_RELEASES = 100_000;

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

export class LocalRooms {
  readonly node: NodeParts;
  readonly reconciler: Reconciler;
  /** The seat of each connection of this node. */
  readonly seats = new Map<string, LocalSeat>();
  /** Joins in progress. The record store may have their seats before `seats` has them. */
  readonly joining = new Map<string, LocalRoom>();
  /** Number of seats to release, in all rooms. */
  owed = 0;
  readonly #rooms = new Map<string, LocalRoom>();

  constructor(node: NodeParts) {
    this.node = node;
    this.reconciler = new Reconciler(this, node);
  }

  /** Number of rooms with members on this node. */
  get occupied(): number {
    return [...this].filter(({ seats }) => seats.size > 0).length;
  }

  [Symbol.iterator](): Iterator<LocalRoom> {
    return this.#rooms.values();
  }

  /** A room, or a new one. It is kept while it matters, or has a task. */
  open(roomId: string): LocalRoom {
    let room = this.#rooms.get(roomId);
    if (room === undefined) {
      room = new LocalRoom(roomId, this, () => this.#rooms.delete(roomId));
      this.#rooms.set(roomId, room);
    }
    return room;
  }
}

export class LocalRoom implements PlannedRoom {
  readonly queue: SerialQueue;
  readonly #rooms: LocalRooms;
  readonly #node: NodeParts;
  known: RoomRecord;
  unsettled: Set<string> | null = null;
  endedGeneration: number | null = null;
  readonly releases = new Set<string>();
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
    return this.seats.size > 0 || this.releases.size > 0 || this.unsettled !== null;
  }

  /** Claims a seat; resolves to whether the member has one. */
  join(member: Member, devices: PairedDevices | null): Promise<boolean> {
    return this.queue.run(() => this.#claim(member, devices));
  }

  /** Gives a seat up; the record store is told when it is reachable. */
  depart(connectionId: string, how: Departure | 'move'): Promise<void> {
    const release = async () => {
      if (how !== 'move' && !this.seats.has(connectionId)) return;
      try {
        await this.#change({ kind: how, connectionId });
      } catch (error) {
        this.#node.onError(error);
        this.#departHere(connectionId, how);
        this.#owe(connectionId);
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
    if (!this.queue.push(() => this.#apply(update))) this.#rooms.reconciler.soon(this);
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
    this.#rooms.reconciler.now([this]);
  }

  async #claim(member: Member, devices: PairedDevices | null): Promise<boolean> {
    const { connectionId } = member;
    if (!this.seats.has(connectionId) && (await this.#node.lease.isAfterLoss())) {
      throw new Unavailable(new Error('Redis has lost its data: nodes enter their members first'));
    }
    try {
      const record = await this.#change({ kind: 'join', member, devices });
      const isSeated = nodeOf(record, connectionId) !== undefined;
      if (!isSeated && this.#oweStaleSeats(record)) this.#rooms.reconciler.now([this]);
      return isSeated;
    } catch (error) {
      // The claim may have taken effect, or may still do so.
      if (this.unsettled !== null && !this.seats.has(connectionId)) this.#owe(connectionId);
      throw error;
    }
  }

  /**
   * Changes the room by an event, or only reconciles it. Resolves to its new record.
   *
   * @throws Unavailable if the change cannot be made, or if its outcome is unknown: it may still take effect
   */
  async #change(event: RoomEvent | null): Promise<RoomRecord> {
    const { store, lease, counters, clock } = this.#node;
    const { roomId } = this.known;
    const isJoining = (id: string) => this.#rooms.joining.has(id);
    const isDead = (id: string) => !lease.alive.has(id);
    // Usually the known record is the present one; otherwise the write returns the present record. Null: to be read.
    const isKnown = this.unsettled === null && this.seats.size > 0;
    let base = event === null ? null : isKnown ? this.known : absentRecord(roomId);
    let isFresh = false;
    let isConfirmed = false;
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      await this.#mayAct();
      if (base === null) {
        base = await store.read(roomId);
        isFresh = true;
        await this.#mayAct();
      }
      // An unknown lease is new, or has ended.
      if (base.members.some(({ node }) => isDead(node) && processOf(node) !== lease.processId)) {
        await this.#askLeases();
      }
      const { id, deadline } = lease;
      const planned = plan(base, event, this, { lease: id, now: clock.now(), isDead, isJoining });
      const { next, changed, lost } = planned;
      if ((lost && !isConfirmed) || (!changed && !isFresh)) {
        // A decision needs a fresh lease and a fresh record.
        if (lost) await this.#askLeases();
        isConfirmed = lost;
        base = null;
        continue;
      }
      if (changed) {
        const isNew = event?.kind === 'join' && this.seats.size === 0 && base.version === 0;
        let outcome: SetOutcome;
        try {
          outcome = await store.compareAndSet(base.version, next, deadline, isNew);
        } catch (error) {
          // The change may still take effect. The next one is always written, and makes it void.
          this.#unsettle(base, next);
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
      if (!lease.acts || lease.id !== id) {
        await lease.verdict();
        if (lease.state !== 'valid' || lease.id !== id) {
          // Other nodes may treat the lease as expired, so members are told after a write under a new lease.
          this.#unsettle(base, next);
          if (event === null || event.kind === 'join') {
            base = next;
            isFresh = false;
            continue;
          }
        }
      }
      this.#tell(base, planned, event, id);
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

  #unsettle(base: RoomRecord, next: RoomRecord): void {
    this.unsettled ??= new Set();
    for (const { node } of [...base.members, ...next.members]) this.unsettled.add(node);
    this.#rooms.reconciler.soon(this);
  }

  #tell(base: RoomRecord, planned: Plan, event: RoomEvent | null, lease: string): void {
    const { reconciled, next, effects, changed } = planned;
    const { counters, streams } = this.#node;
    const joiner = event?.kind === 'join' ? event.member.connectionId : undefined;
    const leaver = event?.kind === 'join' ? undefined : event?.connectionId;
    const isMember = (id: string) => this.seats.has(id) && id !== leaver;
    const missed = catchUp(this.known, reconciled, isMember);
    if (missed.length > 0 && event === null) counters.caughtUp += 1;
    for (const id of this.seats) {
      if (nodeOf(this.known, id) === lease) continue;
      counters[nodeOf(next, id) === undefined ? 'refusedReclaims' : 'reclaims'] += 1;
    }
    // The subject of the event gets its effects with or without a seat.
    const isHere = (id: string) => this.seats.has(id) || id === joiner || id === leaver;
    const here = [...missed, ...effects.filter(({ to }) => isHere(to))];
    const isThere = (id: string) => !isHere(id) && nodeOf(reconciled, id) !== undefined;
    const there = catchUp(base, reconciled, isThere);
    there.push(...effects.filter(({ to }) => isThere(to)));

    const uncertain = this.unsettled ?? [];
    this.unsettled = null;
    this.endedGeneration = null;
    this.#settle();
    this.#adopt(next, here, joiner);

    // After a refused join, the nodes of the members check whether the seats are stale.
    const isRefused = joiner !== undefined && nodeOf(next, joiner) === undefined;
    if (!changed && !isRefused) return;
    const nodes = [...base.members, ...next.members].map(({ node }) => node);
    const processes = new Set([...nodes, ...uncertain].map(processOf));
    processes.delete(this.#node.lease.processId);
    const update = {
      kind: 'update',
      previous: base.version,
      record: next,
      effects: there,
    } as const;
    for (const processId of processes) streams.update(processId, update);
  }

  async #apply({ record, previous, effects }: RoomUpdate): Promise<void> {
    const { lease, counters } = this.#node;
    await lease.verdict();
    // While the lease is away, updates are dropped: all rooms are read when the store is reachable again.
    if (lease.state !== 'valid') return;
    if (this.#oweStaleSeats(record)) return this.reconcile();
    if (!this.matters || record.version <= this.known.version) return;
    const isHere = (id: string) => this.seats.has(id);
    const mine = effects.filter(({ to }) => isHere(to));
    const isTold = (id: string) => mine.some(({ to, kind }) => to === id && kind === 'close');
    const isMissing = (id: string) => nodeOf(record, id) === undefined && !isTold(id);
    if (this.unsettled !== null || [...this.seats].some(isMissing)) return this.reconcile();
    const isNext = previous === this.known.version;
    if (!isNext) counters.caughtUp += 1;
    this.#adopt(record, isNext ? mine : catchUp(this.known, record, isHere));
  }

  /** Applies a departure only here. */
  #departHere(connectionId: string, how: Departure | 'move'): void {
    const { effects } = transition(this.known, { kind: how, connectionId });
    const told = effects.filter(({ to }) => this.seats.has(to));
    const members = this.known.members.filter((member) => member.connectionId !== connectionId);
    this.unsettled ??= new Set();
    this.#adopt({ ...this.known, members }, told);
  }

  /** Owes the release of seats that a record has for this node without a connection, as after a loss of data in the store. */
  #oweStaleSeats({ members }: RoomRecord): boolean {
    const isServed = (id: string) =>
      this.seats.has(id) || this.releases.has(id) || this.#rooms.joining.has(id);
    const stale = members.filter(
      ({ node, connectionId }) => node === this.#node.lease.id && !isServed(connectionId),
    );
    for (const { connectionId } of stale) this.#owe(connectionId);
    return stale.length > 0;
  }

  #owe(connectionId: string): void {
    const rooms = this.#rooms;
    if (!this.releases.has(connectionId)) rooms.owed += 1;
    this.releases.add(connectionId);
    rooms.reconciler.soon(this);
    if (rooms.owed <= MAX_RELEASES) return;
    for (const room of rooms) room.#settle();
    this.#node.lease.abandon();
  }

  #settle(): void {
    this.#rooms.owed -= this.releases.size;
    this.releases.clear();
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
