// Implements the backplane of many nodes: rooms in a shared record store, changed by room.ts, and frames between nodes.
//
// docs/cluster.md describes the protocol. After a loss (of an update, a node, or the store), the room is read again.
// Nothing here depends on Redis.
import type { Clock } from '../../base/clock.js';
import { Unavailable } from '../../base/failures.js';
import type { Logger } from '../../observability/logger.js';
import type { Backplane, Departure, LocalConnections } from '../backplane.js';
import type { Member, PairedDevices } from '../room.js';
import { NodeStreams, type Publisher } from './acknowledged-streams.js';
import { LocalRooms } from './local-rooms.js';
import { newCounters } from './metrics.js';
import { type LeaseRegistry, NodeLease, processOf } from './node-lease.js';
import { decodeMessage, type Envelope } from './node-messages.js';
import { PeerFrames } from './peer-frames.js';
import type { RoomRecordStore } from './room-record.js';

export interface ClusterParts {
  /** The unique id of this process, never reused; also the name of its channel. */
  processId: string;
  store: RoomRecordStore;
  leases: LeaseRegistry;
  publisher: Publisher;
  clock: Clock;
  log: Logger;
  leaseMs: number;
}

export class ClusterBackplane implements Backplane {
  readonly counters = newCounters();
  readonly lease: NodeLease;
  readonly #log: Logger;
  readonly #streams: NodeStreams;
  readonly #rooms: LocalRooms;
  readonly #frames: PeerFrames;
  #isDuplicated = false;

  constructor(
    connections: LocalConnections,
    { processId, store, leases, publisher, clock, log, leaseMs }: ClusterParts,
  ) {
    const { counters } = this;
    const onError = (error: unknown) => {
      // Outages of Redis are logged by its connection.
      if (!(error instanceof Unavailable)) log.error({ err: error }, 'room task failed');
    };
    const lease = new NodeLease({
      processId,
      registry: leases,
      clock,
      ttlMs: leaseMs,
      onAnswer: (gone) => this.#watch(gone),
      onAway: () => {
        log.error('rooms cannot be reached');
        for (const room of this.#rooms) room.queue.push(() => room.partition(), false);
      },
      onRegained: () => {
        log.info({ losses: lease.losses }, 'rooms can be reached');
        this.#rooms.reconcileAll();
      },
      onError,
    });
    const onLost = ({ from, generation }: Envelope) => {
      const seat = this.#rooms.seats.get(from);
      // The sender may have moved to another room since.
      if (seat?.generation === generation) seat.room.endGeneration(generation);
    };
    const streams = new NodeStreams({ lease, publisher, clock, counters, onLost, onError });
    this.#log = log;
    this.lease = lease;
    this.#streams = streams;
    this.#rooms = new LocalRooms({ store, lease, streams, connections, counters, clock, onError });
    this.#frames = new PeerFrames(this.#rooms);
    lease.hurry();
  }

  async join(
    roomId: string,
    member: Member,
    devices: PairedDevices | null,
    leaving: string | null,
  ): Promise<boolean> {
    if (this.#rooms.isFull) throw new Unavailable(new Error('too many rooms wait for Redis'));
    return this.#rooms.open(roomId).join(member, devices, leaving);
  }

  depart(roomId: string, connectionId: string, how: Departure): Promise<void> {
    return this.#rooms.open(roomId).depart(connectionId, how);
  }

  forward(from: string, to: string, frame: string): boolean {
    return this.#frames.forward(from, to, frame);
  }

  reaches(from: string, to: string): boolean {
    return this.#frames.reaches(from, to);
  }

  async roomCount(): Promise<number> {
    return [...this.#rooms].filter(({ seats }) => seats.size > 0).length;
  }

  async rooms() {
    const records = await this.#rooms.node.store.list();
    await this.lease.ask();
    // Members of dead nodes stay in the record until it is changed.
    const isAlive = ({ node }: { node: string }) => this.lease.alive.has(node);
    return records
      .map(({ roomId, members }) => ({ roomId, members: members.filter(isAlive).length }))
      .filter(({ members }) => members > 0);
  }

  /** Takes a message for this node. */
  receive(text: string): void {
    const message = decodeMessage(text);
    if (message === undefined) {
      if (this.counters.unreadable === 0) {
        this.#log.warn('messages from a node of another version are dropped');
      }
      this.counters.unreadable += 1;
      return;
    }
    for (const item of this.#streams.take(message, text.length)) {
      if (item.kind === 'frame') this.#frames.receive(item);
      else if (item.kind === 'update') this.#rooms.open(item.record.roomId).receive(item);
      else this.#rooms.reconcileAll();
    }
  }

  /** To be called after a new subscription, because earlier messages may be lost. */
  resubscribed(): void {
    this.lease.hurry();
    this.#rooms.reconcileAll();
  }

  /** Rejects while this node may not act on its seats, or another node has its id. */
  async check(): Promise<void> {
    if (this.lease.isDuplicated) throw new Error('another node has the id of this one');
    if (!this.lease.acts || this.lease.state !== 'valid') throw new Error('no lease');
  }

  async close(): Promise<void> {
    await this.#rooms.close();
    await this.#streams.close();
    // If the release fails, other nodes wait for the expiry.
    await this.lease.stop().catch(() => {});
  }

  #watch(gone: readonly string[]): void {
    const { isDuplicated, processId, processes } = this.lease;
    // Both processes then receive the frames of either, and cannot detect missing ones.
    if (isDuplicated && !this.#isDuplicated) {
      this.#log.error('another node has the id of this one: restart one of them');
    }
    this.#isDuplicated = isDuplicated;
    const others = new Set(gone.map(processOf));
    others.delete(processId);
    if (others.size === 0) return;
    this.counters.deadNodes += others.size;
    this.#log.warn({ nodes: others.size }, 'nodes gone');
    for (const id of others) if (!processes.has(id)) this.#streams.forget(id);
    const rooms = [...this.#rooms].filter(
      // A task in progress may seat a member of a dead node.
      ({ queue, known }) =>
        queue.busy || known.members.some(({ node }) => others.has(processOf(node))),
    );
    this.#rooms.reconcileNow(rooms);
  }
}
