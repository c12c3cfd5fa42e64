// Forwards frames to a peer: on this node at once, to another node through its stream.
import type { LocalRoom, LocalRooms, LocalSeat } from './local-rooms.js';
import type { FrameDrop } from './metrics.js';
import type { Envelope } from './node-messages.js';

/** Most that may wait for the lease or for an update of a room, in UTF-16 code units. */
const MAX_HELD = 8 * 1024 * 1024;

export class PeerFrames {
  readonly #rooms: LocalRooms;
  #held = 0;

  constructor(rooms: LocalRooms) {
    this.#rooms = rooms;
  }

  /** Takes a frame from a connection of this node. Returns whether it was taken; a frame that waits counts as taken. */
  forward(from: string, to: string, frame: string): boolean {
    const seat = this.#rooms.seats.get(from);
    if (seat?.peerId !== to) return this.#drop('not_peer');
    if (isEnding(seat)) return this.#drop('parted');
    return this.#isReady(seat)
      ? this.#pass(seat, from, to, frame)
      : this.#hold(seat, from, to, frame);
  }

  reaches(from: string, to: string): boolean {
    const seat = this.#rooms.seats.get(from);
    if (seat?.peerId !== to || seat.peerProcess !== null) return false;
    return !isEnding(seat) && this.#isReady(seat);
  }

  /** Takes a frame for a connection of this node. */
  receive(envelope: Envelope): void {
    const { node, seats, joining } = this.#rooms;
    node.counters.framesReceived += 1;
    const { to, generation, frame } = envelope;
    const seat = seats.get(to);
    const room = joining.get(to) ?? seat?.room;
    if (room === undefined) this.#drop('parted');
    else if (node.lease.acts && !room.queue.busy && !isAhead(envelope, seat)) {
      this.#deliver(room, envelope, seat);
    } else {
      // The update of this generation has not arrived yet.
      const mustRead = () => isAhead(envelope, seats.get(to));
      const deliver = () => this.#deliver(room, envelope, seats.get(to));
      this.#wait(room, generation, frame.length, mustRead, deliver);
    }
  }

  /** Whether frames need not wait: the seat has a valid lease, and no frame of its room waits. */
  #isReady(seat: LocalSeat): boolean {
    const { lease } = this.#rooms.node;
    return lease.acts && seat.lease === lease.id && seat.room.held === 0;
  }

  #pass(seat: LocalSeat, from: string, to: string, frame: string): boolean {
    const { generation, peerProcess } = seat;
    const { connections, streams } = this.#rooms.node;
    if (peerProcess === null) return connections.forward(to, frame);
    streams.frame(peerProcess, { kind: 'frame', to, from, generation, frame });
    return true;
  }

  /** Holds a frame until its seat has a valid lease; then forwards it if the generation is unchanged. */
  #hold({ room, generation }: LocalSeat, from: string, to: string, frame: string): boolean {
    const { node, seats } = this.#rooms;
    const isUnclaimed = () => seats.get(from)?.lease !== node.lease.id;
    const pass = () => {
      room.held -= 1;
      const seat = seats.get(from);
      const isSame = seat?.peerId === to && seat.generation === generation;
      if (isSame) this.#pass(seat, from, to, frame);
      else this.#drop('lease');
    };
    room.held += 1;
    const fits = this.#wait(room, generation, frame.length, isUnclaimed, pass);
    if (!fits) room.held -= 1;
    return fits;
  }

  #deliver(room: LocalRoom, envelope: Envelope, seat: LocalSeat | undefined): void {
    const { to, from, generation, frame } = envelope;
    const isPeer = seat?.peerId === from && seat.generation === generation;
    if (isPeer && !isEnding(seat)) {
      this.#rooms.node.connections.forward(to, frame);
      return;
    }
    this.#drop('parted');
    if (isAhead(envelope, seat)) room.endGeneration(generation);
  }

  /** Runs `pass` in the queue of a room with the lease decided, and the room read if needed; false if too much waits. */
  #wait(
    room: LocalRoom,
    generation: number,
    size: number,
    mustRead: () => boolean,
    pass: () => void,
  ): boolean {
    const { lease } = this.#rooms.node;
    const task = async () => {
      this.#held -= size;
      try {
        await lease.verdict();
        if (lease.state === 'valid' && mustRead()) await room.reconcile();
      } finally {
        pass();
      }
    };
    this.#held += size;
    if (this.#held <= MAX_HELD && room.queue.push(task)) return true;
    this.#held -= size;
    this.#drop('overflow');
    room.endGeneration(generation);
    return false;
  }

  #drop(cause: FrameDrop): false {
    const { counters, connections } = this.#rooms.node;
    counters.frameDrops[cause] += 1;
    connections.dropFrame();
    return false;
  }
}

/** Whether a frame of the generation was lost, so no later frame of it may be delivered. */
const isEnding = ({ room, generation }: LocalSeat): boolean =>
  generation <= (room.endedGeneration ?? 0);

/** Whether a frame is of a later generation than the seat of its receiver. */
const isAhead = ({ generation }: Envelope, seat: LocalSeat | undefined): boolean =>
  seat !== undefined && generation > seat.generation;
