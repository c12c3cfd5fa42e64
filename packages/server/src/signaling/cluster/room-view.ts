// Holds the rooms in which this node has members: the state that they were told, and their seats.
import type { Departure } from '../backplane.js';
import type { Member } from '../room.js';
import { processOf } from './node-lease.js';
import { absentRecord, nodeOf, type RoomRecord } from './room-record.js';
import { SerialQueue } from './serial-queue.js';

/** The seat of a connection of this node. */
export interface LocalSeat {
  readonly view: RoomView;
  readonly member: Member;
  /** The lease that the record store has for it. */
  readonly incarnation: string;
  readonly peerId: string | null;
  /** The process of the peer; null: this process, or no peer. */
  readonly peerProcess: string | null;
  readonly generation: number;
}

export class RoomView {
  readonly roomId: string;
  readonly queue: SerialQueue;
  /** The room as its members here were told. */
  known: RoomRecord;
  /** Whether the record store had `known` at its version; false after a change that was made only here. */
  exact = true;
  /**
   * The generation to end although no member leaves: a frame was lost, or members were told that an unreachable peer is
   * gone.
   */
  endedGeneration: number | null = null;
  /** Nodes to notify of the next change in any case, because the outcome of an earlier one is unknown. */
  uncertain: Set<string> | null = null;
  /** Seats to release when the record store is reachable. Only {@link RoomViews} changes them. */
  readonly releases = new Map<string, Departure | 'move'>();
  readonly seats = new Map<string, LocalSeat>();
  /** Number of its members' frames in the queue. */
  held = 0;

  constructor(roomId: string, onIdle: (view: RoomView) => void, onError: (error: unknown) => void) {
    this.roomId = roomId;
    this.queue = new SerialQueue(() => onIdle(this), onError);
    this.known = absentRecord(roomId);
  }

  /** Whether this room has to be written to or read from the record store. */
  get matters(): boolean {
    return this.seats.size > 0 || this.releases.size > 0 || this.uncertain !== null;
  }
}

export class RoomViews {
  readonly #processId: string;
  readonly #onError: (error: unknown) => void;
  readonly #rooms = new Map<string, RoomView>();
  readonly #seats = new Map<string, LocalSeat>();
  #owed = 0;

  /** @param onError - receives errors of tasks in the queues of rooms */
  constructor(processId: string, onError: (error: unknown) => void) {
    this.#processId = processId;
    this.#onError = onError;
  }

  /** Number of seats to release, in all rooms. */
  get owed(): number {
    return this.#owed;
  }

  /** Adds a seat to release. */
  owe({ releases }: RoomView, connectionId: string, how: Departure | 'move'): void {
    if (!releases.has(connectionId)) this.#owed += 1;
    releases.set(connectionId, how);
  }

  /** Clears the seats to release of a room. */
  settle({ releases }: RoomView): void {
    this.#owed -= releases.size;
    releases.clear();
  }

  /** Number of rooms with members on this node. */
  get occupied(): number {
    let count = 0;
    for (const { seats } of this.#rooms.values()) if (seats.size > 0) count += 1;
    return count;
  }

  [Symbol.iterator](): Iterator<RoomView> {
    return this.#rooms.values();
  }

  find(roomId: string): RoomView | undefined {
    return this.#rooms.get(roomId);
  }

  /** The view of a room, or a new one. It is kept while it matters, or has a task. */
  open(roomId: string): RoomView {
    let view = this.#rooms.get(roomId);
    if (view === undefined) {
      const forget = (idle: RoomView) => {
        if (!idle.matters) this.#rooms.delete(roomId);
      };
      view = new RoomView(roomId, forget, this.#onError);
      this.#rooms.set(roomId, view);
    }
    return view;
  }

  seatOf(connectionId: string): LocalSeat | undefined {
    return this.#seats.get(connectionId);
  }

  /**
   * Takes a record as what the members here know. Those in the record get their seats by it, the others lose them.
   *
   * @param joiner - a connection of this node that sits here from now on
   */
  adopt(view: RoomView, record: RoomRecord, incarnation: string, joiner?: string): void {
    view.known = record;
    for (const [connectionId] of view.seats) {
      if (nodeOf(record, connectionId) === undefined) this.vacate(view, connectionId);
    }
    const sits = (id: string) => id === joiner || view.seats.has(id);
    for (const member of record.state.members) {
      const { connectionId } = member;
      if (!sits(connectionId)) continue;
      const peer = record.state.members.find((other) => other !== member);
      const peerNode = peer === undefined ? undefined : nodeOf(record, peer.connectionId);
      const peerProcess = peerNode === undefined ? null : processOf(peerNode);
      const isHere = peerProcess === this.#processId;
      // A moved connection of this node stays in the record until its seat is released.
      const isAlone = peer === undefined || (isHere && !sits(peer.connectionId));
      // From now on, no frame of the old room reaches a connection that moves.
      const left = this.#seats.get(connectionId);
      if (left !== undefined && left.view !== view) this.#part(left.view, connectionId);
      this.#seat(view, {
        view,
        member,
        incarnation,
        peerId: isAlone ? null : peer.connectionId,
        peerProcess: isHere ? null : peerProcess,
        generation: record.generation,
      });
    }
  }

  /** Removes a seat; the connection keeps its seat in another room. */
  vacate(view: RoomView, connectionId: string): void {
    view.seats.delete(connectionId);
    if (this.#seats.get(connectionId)?.view === view) this.#seats.delete(connectionId);
  }

  #seat(view: RoomView, seat: LocalSeat): void {
    view.seats.set(seat.member.connectionId, seat);
    this.#seats.set(seat.member.connectionId, seat);
  }

  /** Removes the seat of a connection that has moved; its peer in this room no longer reaches it. */
  #part(view: RoomView, connectionId: string): void {
    view.seats.delete(connectionId);
    for (const seat of [...view.seats.values()]) {
      if (seat.peerId === connectionId)
        this.#seat(view, { ...seat, peerId: null, peerProcess: null });
    }
  }
}
