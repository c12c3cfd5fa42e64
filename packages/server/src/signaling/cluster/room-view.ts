// What this node knows of the rooms in which it has members, and who of them sits where.
import type { Departure } from '../backplane.js';
import type { Member } from '../room.js';
import { processOf } from './node-lease.js';
import { absentRecord, nodeOf, type RoomRecord } from './room-record.js';
import { SerialQueue } from './serial-queue.js';

/** The seat of a connection of this node. */
export interface LocalSeat {
  readonly view: RoomView;
  readonly member: Member;
  /** Lease under which the record store knows of it, by its number. */
  readonly incarnation: number;
  readonly peerId: string | null;
  /** Where the peer lives, by its process; null: here, or there is none. */
  readonly peerProcess: string | null;
  /** The company it is in. */
  readonly generation: number;
}

export class RoomView {
  readonly roomId: string;
  readonly queue: SerialQueue;
  /** The room as its members here have been told. */
  known: RoomRecord;
  /** Whether that is what the record store had at this version; not so after a change made here alone. */
  exact = true;
  /**
   * The generation that is to end although nobody leaves: its members here were told that the other is gone, which only
   * could not be reached, or one of its frames was lost.
   */
  endedGeneration: number | null = null;
  /** Nodes to be told of the next change in any case: of an earlier one it is not known whether it was made. */
  uncertain: Set<string> | null = null;
  /** Seats that are to be given up as soon as the record store can be reached; changed by {@link RoomViews} alone, which counts them. */
  readonly releases = new Map<string, Departure | 'move'>();
  readonly seats = new Map<string, LocalSeat>();
  /** Frames of its members that wait in the queue. */
  held = 0;

  constructor(roomId: string, onIdle: (view: RoomView) => void, onError: (error: unknown) => void) {
    this.roomId = roomId;
    this.queue = new SerialQueue(() => onIdle(this), onError);
    this.known = absentRecord(roomId);
  }

  /** Whether the record store has to be told or asked of this room when it can be reached again. */
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

  /** @param onError - takes what a task of a room failed with that nobody waits for */
  constructor(processId: string, onError: (error: unknown) => void) {
    this.#processId = processId;
    this.#onError = onError;
  }

  /** Seats that are to be given up, in all rooms. */
  get owed(): number {
    return this.#owed;
  }

  /** Remembers a seat that is to be given up. */
  owe({ releases }: RoomView, connectionId: string, how: Departure | 'move'): void {
    if (!releases.has(connectionId)) this.#owed += 1;
    releases.set(connectionId, how);
  }

  /** Forgets the seats that were to be given up in a room. */
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

  /** The view of a room; made where there is none. It stays while it matters, or something is under way. */
  open(roomId: string): RoomView {
    let view = this.#rooms.get(roomId);
    if (view === undefined) {
      view = new RoomView(roomId, this.#tidy, this.#onError);
      this.#rooms.set(roomId, view);
    }
    return view;
  }

  /** Forgets a room that no longer matters, once nothing is under way in it. */
  readonly #tidy = (view: RoomView): void => {
    if (!view.matters) this.#rooms.delete(view.roomId);
  };

  seatOf(connectionId: string): LocalSeat | undefined {
    return this.#seats.get(connectionId);
  }

  /**
   * Takes note of what the members here now know. Those in the record get their seats by it, the others have none.
   *
   * @param joiner - who sits here from now on
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
      // One of this node that has moved on is in the record until its seat is released.
      const isAlone = peer === undefined || (isHere && !sits(peer.connectionId));
      const seat: LocalSeat = {
        view,
        member,
        incarnation,
        peerId: isAlone ? null : peer.connectionId,
        peerProcess: isHere ? null : peerProcess,
        generation: record.generation,
      };
      // Who moves has its seat in the new room from here on: nothing of the old one reaches it.
      const left = this.#seats.get(connectionId);
      if (left !== undefined && left.view !== view) this.#part(left.view, connectionId);
      view.seats.set(connectionId, seat);
      this.#seats.set(connectionId, seat);
    }
  }

  /** Takes a seat away from one who has another now; who sat opposite reaches it no more, even before it is told. */
  #part(view: RoomView, connectionId: string): void {
    view.seats.delete(connectionId);
    for (const [id, seat] of view.seats) {
      if (seat.peerId !== connectionId) continue;
      const alone = { ...seat, peerId: null, peerProcess: null };
      view.seats.set(id, alone);
      this.#seats.set(id, alone);
    }
  }

  /** Takes a seat away; nothing happens to one that the connection holds elsewhere. */
  vacate(view: RoomView, connectionId: string): void {
    view.seats.delete(connectionId);
    if (this.#seats.get(connectionId)?.view === view) this.#seats.delete(connectionId);
  }
}
