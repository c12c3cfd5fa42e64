// Frames on their way to a peer: on this node by a look-up and a comparison, to another by its inbox.
import type { LocalConnections } from '../backplane.js';
import type { ClusterCounters, FrameDrop } from './metrics.js';
import type { NodeLease } from './node-lease.js';
import type { Envelope } from './node-messages.js';
import type { SendQueue } from './node-streams.js';
import type { RoomUpdates } from './room-updates.js';
import type { LocalSeat, RoomView, RoomViews } from './room-view.js';

/** Most that may wait for a verdict on the lease or for news of a room, in UTF-16 code units. */
const MAX_HELD = 8 * 1024 * 1024;

export interface PeerFramesDeps {
  lease: NodeLease;
  views: RoomViews;
  updates: RoomUpdates;
  sendQueue: SendQueue;
  connections: LocalConnections;
  counters: ClusterCounters;
  /** Connections whose join is under way: what comes for them waits for its outcome. */
  joining: ReadonlyMap<string, RoomView>;
}

export class PeerFrames {
  readonly #deps: PeerFramesDeps;
  readonly #lease: NodeLease;
  readonly #views: RoomViews;
  readonly #connections: LocalConnections;
  #held = 0;

  constructor(deps: PeerFramesDeps) {
    this.#deps = deps;
    this.#lease = deps.lease;
    this.#views = deps.views;
    this.#connections = deps.connections;
  }

  /** A frame of a connection of this node; one that has to wait counts as taken. */
  forward(from: string, to: string, frame: string): boolean {
    const seat = this.#views.seatOf(from);
    if (seat?.peerId === to && isEnding(seat)) {
      this.#drop('parted');
      return false;
    }
    if (seat?.peerId === to) {
      return this.#stands(seat)
        ? this.#pass(seat, from, to, frame)
        : this.#hold(seat, from, to, frame);
    }
    this.#drop('not_peer');
    return false;
  }

  reaches(from: string, to: string): boolean {
    const seat = this.#views.seatOf(from);
    if (seat?.peerId !== to || seat.peerProcess !== null) return false;
    return !isEnding(seat) && this.#stands(seat);
  }

  /** Whether a seat is held under a lease that runs, and nothing of its room waits. */
  #stands({ incarnation, view }: LocalSeat): boolean {
    return this.#lease.acts && incarnation === this.#lease.incarnation && view.held === 0;
  }

  /** A frame for a connection of this node. */
  receive(envelope: Envelope): void {
    this.#deps.counters.framesReceived += 1;
    const { to } = envelope;
    const seat = this.#views.seatOf(to);
    const view = this.#deps.joining.get(to) ?? seat?.view;
    if (view === undefined) this.#drop('parted');
    else if (this.#lease.acts && !view.queue.busy) this.#deliver(view, envelope, false);
    else {
      this.#wait(view, envelope.generation, envelope.frame.length, async () => {
        await this.#lease.verdict();
        await this.#deliver(view, envelope, false);
      });
    }
  }

  #pass(seat: LocalSeat, from: string, to: string, frame: string): boolean {
    const { generation, peerProcess } = seat;
    if (peerProcess === null) return this.#connections.forward(to, frame);
    this.#deps.sendQueue.frame(peerProcess, { kind: 'frame', to, from, generation, frame });
    return true;
  }

  /** Until the registry has spoken, and the seat stands under a lease that runs. Then only the same company counts. */
  #hold({ view, generation }: LocalSeat, from: string, to: string, frame: string): boolean {
    view.held += 1;
    const fits = this.#wait(view, generation, frame.length, async () => {
      try {
        await this.#lease.verdict();
        const isClaimed = this.#views.seatOf(from)?.incarnation === this.#lease.incarnation;
        if (!isClaimed && this.#lease.state === 'valid') await this.#deps.updates.reconcile(view);
      } finally {
        view.held -= 1;
        const seat = this.#views.seatOf(from);
        if (seat?.peerId === to && seat.generation === generation)
          this.#pass(seat, from, to, frame);
        else this.#drop('lease');
      }
    });
    if (!fits) view.held -= 1;
    return fits;
  }

  #deliver(view: RoomView, envelope: Envelope, isLast: boolean): Promise<void> | undefined {
    const { to, from, generation, frame } = envelope;
    const seat = this.#views.seatOf(to);
    if (seat?.peerId === from && seat.generation === generation) {
      if (isEnding(seat)) this.#drop('parted');
      else this.#connections.forward(to, frame);
      return undefined;
    }
    // Its sender knows of something that has not come here: news was lost.
    const isAhead = seat !== undefined && generation > seat.generation;
    if (isLast || !isAhead || this.#lease.state !== 'valid') {
      this.#drop('parted');
      if (isAhead) this.#deps.updates.endGeneration(view, generation);
      return undefined;
    }
    const catchUpFirst = async () => {
      try {
        await this.#deps.updates.reconcile(view);
      } finally {
        await this.#deliver(view, envelope, true);
      }
    };
    if (view.queue.busy) return catchUpFirst();
    this.#wait(view, generation, frame.length, catchUpFirst);
    return undefined;
  }

  #wait(view: RoomView, generation: number, size: number, task: () => Promise<void>): boolean {
    const hasSpace = this.#held + size <= MAX_HELD;
    if (hasSpace) this.#held += size;
    const fits =
      hasSpace &&
      view.queue.push(async () => {
        this.#held -= size;
        await task();
      });
    if (fits) return true;
    if (hasSpace) this.#held -= size;
    this.#drop('overflow');
    this.#deps.updates.endGeneration(view, generation);
    return false;
  }

  #drop(cause: FrameDrop): void {
    this.#deps.counters.frameDrops[cause] += 1;
    this.#connections.dropFrame();
  }
}

/** Whether the generation of a seat is about to end, since a frame of it was lost: no later one is to arrive in it. */
const isEnding = ({ view, generation }: LocalSeat): boolean =>
  generation <= (view.endedGeneration ?? 0);
