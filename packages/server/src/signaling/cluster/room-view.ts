// What this node holds of the rooms in which it has members: what they were told, and their seats.
import type { Departure } from '../backplane.js';
import type { Member } from '../room.js';
import { processOf } from './node-lease.js';
import { absentRecord, nodeOf, type RoomRecord } from './room-record.js';
import { SerialQueue } from './serial-queue.js';

/** The seat of a connection of this node. */
export interface LocalSeat {
  readonly view: RoomView;
  readonly member: Member;
  /** Number of the lease under which the record store has it. */
  readonly incarnation: number;
  readonly peerId: string | null;
  /** The process of the peer; null: this one, or there is no peer. */
  readonly peerProcess: string | null;
  readonly generation: number;
}

export class RoomView {
  readonly roomId: string;
  readonly queue: SerialQueue;
  /** The room as its members here were told. */
  known: RoomRecord;
  /** Whether the record store had `known` at its version, instead of a change that was made here alone. */
  exact = true;
  /**
   * The generation that is to end although no member leaves: one of its frames was lost, or its members here were told
   * that their peer is gone, which only could not be reached.
   */
  endedGeneration: number | null = null;
  /** Nodes that are told of the next change in any case, because an earlier one may have been made. */
  uncertain: Set<string> | null = null;
  /** Seats that are given up as soon as the record store can be reached. Only {@link RoomViews} changes them. */
  readonly releases = new Map<string, Departure | 'move'>();
  readonly seats = new Map<string, LocalSeat>();
  /** Frames of its members that wait in the queue. */
  held = 0;

  constructor(roomId: string, onIdle: (view: RoomView) => void, onError: (error: unknown) => void) {
    this.roomId = roomId;
    this.queue = new SerialQueue(() => onIdle(this), onError);
    this.known = absentRecord(roomId);
  }

  /** Whether the record store has to be told or asked of this room. */
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

  /** @param onError - takes the errors of tasks that were pushed to the queue of a room */
  constructor(processId: string, onError: (error: unknown) => void) {
    this.#processId = processId;
    this.#onError = onError;
  }

  /** Seats that are to be given up, in all rooms. */
  get owed(): number {
    return this.#owed;
  }

  /** Adds a seat that is to be given up. */
  owe({ releases }: RoomView, connectionId: string, how: Departure | 'move'): void {
    if (!releases.has(connectionId)) this.#owed += 1;
    releases.set(connectionId, how);
  }

  /** Removes the seats of a room that were to be given up. */
  settle({ releases }: RoomView): void {
    this.#owed -= releases.size;
    releases.clear();
  }

  /** Rooms with members here. */
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

  /** The view of a room, or a new one. It is kept while it matters, or a task of it is under way. */
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
  adopt(view: RoomView, record: RoomRecord, incarnation: number, joiner?: string): void {
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
      // A connection of this node that has moved stays in the record until its seat is released.
      const isAlone = peer === undefined || (isHere && !sits(peer.connectionId));
      // A connection that moves has its seat in the new room from here on: no frame of the old one reaches it.
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

  /** Takes away a seat; the connection keeps one that it has in another room. */
  vacate(view: RoomView, connectionId: string): void {
    view.seats.delete(connectionId);
    if (this.#seats.get(connectionId)?.view === view) this.#seats.delete(connectionId);
  }

  #seat(view: RoomView, seat: LocalSeat): void {
    view.seats.set(seat.member.connectionId, seat);
    this.#seats.set(seat.member.connectionId, seat);
  }

  /** Takes away the seat of a connection that has another one. From now on its peer does not reach it by this room. */
  #part(view: RoomView, connectionId: string): void {
    view.seats.delete(connectionId);
    for (const seat of [...view.seats.values()]) {
      if (seat.peerId === connectionId)
        this.#seat(view, { ...seat, peerId: null, peerProcess: null });
    }
  }
}
