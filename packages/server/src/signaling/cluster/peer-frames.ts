// Forwards frames to a peer: on this node at once, to another node through its stream.
import type { LocalRoom, LocalRooms, LocalSeat } from './local-rooms.js';
import type { FrameDrop } from './metrics.js';
import type { Envelope } from './node-messages.js';

/** Most that may wait for the lease or for an update of a room, in UTF-16 code units. */
const MAX_HELD = 8 * 1024 * 1024;

export function createPeerFrames({ node, seats, joining }: LocalRooms) {
  const { lease, counters, connections, streams } = node;
  let heldSize = 0;

  const drop = (cause: FrameDrop): false => {
    counters.frameDrops[cause] += 1;
    connections.dropFrame();
    return false;
  };

  /** Whether frames need not wait: the seat has a valid lease, and no frame of its room waits. */
  const isReady = (seat: LocalSeat): boolean =>
    lease.acts && seat.lease === lease.id && seat.room.held === 0;

  const pass = (seat: LocalSeat, from: string, to: string, frame: string): boolean => {
    const { generation, peerProcess } = seat;
    if (peerProcess === null) return connections.forward(to, frame);
    streams.frame(peerProcess, { kind: 'frame', to, from, generation, frame });
    return true;
  };

  /** Runs `task` in the queue of a room with the lease decided, and the room read if needed; false if too much waits. */
  const wait = (room: LocalRoom, of: Envelope, mustRead: () => boolean, task: () => void) => {
    const size = of.frame.length;
    const decided = async () => {
      heldSize -= size;
      try {
        await lease.verdict();
        if (lease.state === 'valid' && mustRead()) await room.reconcile();
      } finally {
        task();
      }
    };
    heldSize += size;
    if (heldSize <= MAX_HELD && room.queue.push(decided)) return true;
    heldSize -= size;
    room.endGeneration(of.generation);
    return drop('overflow');
  };

  /** Holds a frame until its seat has a valid lease; then forwards it if the generation is unchanged. */
  const hold = ({ room }: LocalSeat, envelope: Envelope): boolean => {
    const { from, to, generation, frame } = envelope;
    const isUnclaimed = () => seats.get(from)?.lease !== lease.id;
    const release = () => {
      room.held -= 1;
      const seat = seats.get(from);
      const isSame = seat?.peerId === to && seat.generation === generation;
      if (isSame) pass(seat, from, to, frame);
      else drop('lease');
    };
    room.held += 1;
    const fits = wait(room, envelope, isUnclaimed, release);
    if (!fits) room.held -= 1;
    return fits;
  };

  const deliver = (room: LocalRoom, envelope: Envelope, seat: LocalSeat | undefined): void => {
    const { to, from, generation, frame } = envelope;
    const isPeer = seat?.peerId === from && seat.generation === generation;
    if (isPeer && !isEnding(seat)) return void connections.forward(to, frame);
    drop('parted');
    if (isAhead(envelope, seat)) room.endGeneration(generation);
  };

  return {
    /** Takes a frame from a connection of this node. Returns whether it was taken; a frame that waits counts as taken. */
    forward(from: string, to: string, frame: string): boolean {
      const seat = seats.get(from);
      if (seat?.peerId !== to) return drop('not_peer');
      if (isEnding(seat)) return drop('parted');
      if (isReady(seat)) return pass(seat, from, to, frame);
      return hold(seat, { kind: 'frame', to, from, generation: seat.generation, frame });
    },

    reaches(from: string, to: string): boolean {
      const seat = seats.get(from);
      if (seat?.peerId !== to || seat.peerProcess !== null) return false;
      return !isEnding(seat) && isReady(seat);
    },

    /** Takes a frame for a connection of this node. */
    receive(envelope: Envelope): void {
      counters.framesReceived += 1;
      const { to } = envelope;
      const seat = seats.get(to);
      const room = joining.get(to) ?? seat?.room;
      if (room === undefined) drop('parted');
      else if (lease.acts && !room.queue.busy && !isAhead(envelope, seat)) {
        deliver(room, envelope, seat);
      } else {
        // The update of this generation has not arrived yet.
        const mustRead = () => isAhead(envelope, seats.get(to));
        const task = () => deliver(room, envelope, seats.get(to));
        wait(room, envelope, mustRead, task);
      }
    },
  };
}

/** Whether a frame of the generation was lost, so no later frame of it may be delivered. */
const isEnding = ({ room, generation }: LocalSeat): boolean =>
  generation <= (room.endedGeneration ?? 0);

/** Whether a frame is of a later generation than the seat of its receiver. */
const isAhead = ({ generation }: Envelope, seat: LocalSeat | undefined): boolean =>
  seat !== undefined && generation > seat.generation;
