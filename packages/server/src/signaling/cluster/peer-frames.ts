// Forwards frames to a peer: on this node at once, to another node through the send queue.
import type { FrameDrop } from './metrics.js';
import type { Envelope } from './node-messages.js';
import type { NodeParts, RoomChanges } from './room-changes.js';
import type { LocalSeat, RoomView } from './room-view.js';

/** Most that may wait for the lease or for an update of a room, in UTF-16 code units. */
const MAX_HELD = 8 * 1024 * 1024;

export class PeerFrames {
  readonly #parts: NodeParts;
  readonly #changes: RoomChanges;
  #held = 0;

  constructor(parts: NodeParts, changes: RoomChanges) {
    this.#parts = parts;
    this.#changes = changes;
  }

  /** Takes a frame from a connection of this node. Returns whether it was taken; a frame that waits counts as taken. */
  forward(from: string, to: string, frame: string): boolean {
    const seat = this.#parts.views.seatOf(from);
    if (seat?.peerId !== to) return this.#drop('not_peer');
    if (isEnding(seat)) return this.#drop('parted');
    return this.#isReady(seat)
      ? this.#pass(seat, from, to, frame)
      : this.#hold(seat, from, to, frame);
  }

  reaches(from: string, to: string): boolean {
    const seat = this.#parts.views.seatOf(from);
    if (seat?.peerId !== to || seat.peerProcess !== null) return false;
    return !isEnding(seat) && this.#isReady(seat);
  }

  /** Takes a frame for a connection of this node. */
  receive(envelope: Envelope): void {
    const { counters, lease, joining, views } = this.#parts;
    counters.framesReceived += 1;
    const { to, generation, frame } = envelope;
    const view = joining.get(to) ?? views.seatOf(to)?.view;
    if (view === undefined) this.#drop('parted');
    else if (lease.acts && !view.queue.busy) this.#deliver(view, envelope, false);
    else {
      this.#wait(view, generation, frame.length, async () => {
        await lease.verdict();
        await this.#deliver(view, envelope, false);
      });
    }
  }

  /** Whether frames need not wait: the seat has a valid lease, and no frame of its room waits. */
  #isReady({ incarnation, view }: LocalSeat): boolean {
    const { lease } = this.#parts;
    return lease.acts && incarnation === lease.id && view.held === 0;
  }

  #pass(seat: LocalSeat, from: string, to: string, frame: string): boolean {
    const { generation, peerProcess } = seat;
    const { connections, streams } = this.#parts;
    if (peerProcess === null) return connections.forward(to, frame);
    streams.frame(peerProcess, { kind: 'frame', to, from, generation, frame });
    return true;
  }

  /** Holds a frame until its seat has a valid lease; then forwards it if the generation is unchanged. */
  #hold({ view, generation }: LocalSeat, from: string, to: string, frame: string): boolean {
    const { lease, views } = this.#parts;
    view.held += 1;
    const fits = this.#wait(view, generation, frame.length, async () => {
      try {
        await lease.verdict();
        const isClaimed = views.seatOf(from)?.incarnation === lease.id;
        if (!isClaimed && lease.state === 'valid') await this.#changes.reconcile(view);
      } finally {
        view.held -= 1;
        const seat = views.seatOf(from);
        const isSame = seat?.peerId === to && seat.generation === generation;
        if (isSame) this.#pass(seat, from, to, frame);
        else this.#drop('lease');
      }
    });
    if (!fits) view.held -= 1;
    return fits;
  }

  #deliver(view: RoomView, envelope: Envelope, isLast: boolean): Promise<void> | undefined {
    const { lease, views, connections } = this.#parts;
    const { to, from, generation, frame } = envelope;
    const seat = views.seatOf(to);
    if (seat?.peerId === from && seat.generation === generation) {
      if (isEnding(seat)) this.#drop('parted');
      else connections.forward(to, frame);
      return undefined;
    }
    // The update of this generation has not arrived yet.
    const isAhead = seat !== undefined && generation > seat.generation;
    if (isLast || !isAhead || lease.state !== 'valid') {
      this.#drop('parted');
      if (isAhead) this.#changes.endGeneration(view, generation);
      return undefined;
    }
    const readFirst = async () => {
      try {
        await this.#changes.reconcile(view);
      } finally {
        await this.#deliver(view, envelope, true);
      }
    };
    if (view.queue.busy) return readFirst();
    this.#wait(view, generation, frame.length, readFirst);
    return undefined;
  }

  #wait(view: RoomView, generation: number, size: number, task: () => Promise<void>): boolean {
    const fits =
      this.#held + size <= MAX_HELD &&
      view.queue.push(async () => {
        this.#held -= size;
        await task();
      });
    // If the queue is idle, the task has already run up to its first `await`.
    if (fits) this.#held += size;
    else {
      this.#drop('overflow');
      this.#changes.endGeneration(view, generation);
    }
    return fits;
  }

  #drop(cause: FrameDrop): false {
    const { counters, connections } = this.#parts;
    counters.frameDrops[cause] += 1;
    connections.dropFrame();
    return false;
  }
}

/** Whether a frame of the generation was lost, so no later frame of it may be delivered. */
const isEnding = ({ view, generation }: LocalSeat): boolean =>
  generation <= (view.endedGeneration ?? 0);
