// Implements the backplane of many nodes: rooms in a shared record store, changed by room.ts, and frames between nodes.
//
// docs/cluster.md describes the protocol. After a loss (of an update, a node, or the store), the room is read again.
// Nothing here depends on Redis.
import type { Clock } from '../../base/clock.js';
import { Unavailable } from '../../base/failures.js';
import type { Logger } from '../../observability/logger.js';
import type { Backplane, LocalConnections } from '../backplane.js';
import { NodeStreams, type Publisher } from './acknowledged-streams.js';
import { LocalRooms } from './local-rooms.js';
import { newCounters } from './metrics.js';
import { type LeaseRegistry, NodeLease, processOf } from './node-lease.js';
import { decodeMessage, type Envelope } from './node-messages.js';
import { createPeerFrames } from './peer-frames.js';
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

export type ClusterBackplane = ReturnType<typeof createClusterBackplane>;

export function createClusterBackplane(
  connections: LocalConnections,
  { processId, store, leases, publisher, clock, log, leaseMs }: ClusterParts,
) {
  const counters = newCounters();
  let wasDuplicated = false;

  const onError = (error: unknown) => {
    // Outages of Redis are logged by its connection.
    if (!(error instanceof Unavailable)) log.error({ err: error }, 'room task failed');
  };
  const onAnswer = (gone: readonly string[]) => {
    const { isDuplicated, processes } = lease;
    // Both processes then receive the frames of either, and cannot detect missing ones.
    if (isDuplicated && !wasDuplicated) {
      log.error('another node has the id of this one: restart one of them');
    }
    wasDuplicated = isDuplicated;
    const others = new Set(gone.map(processOf));
    others.delete(processId);
    if (others.size === 0) return;
    counters.deadNodes += others.size;
    log.warn({ nodes: others.size }, 'leases of other nodes have ended');
    for (const id of others) if (!processes.has(id)) streams.forget(id);
    const affected = [...rooms].filter(
      // A task in progress may seat a member of a dead node.
      ({ queue, known }) =>
        queue.busy || known.members.some(({ node }) => others.has(processOf(node))),
    );
    rooms.reconcileNow(affected);
  };
  const onAway = () => {
    log.error('lease expired: Redis has not answered for LEASE_SECONDS');
    for (const room of rooms) room.queue.push(() => room.partition(), false);
  };
  const onRegained = () => {
    log.info({ losses: lease.losses }, 'lease valid again');
    rooms.reconcileAll();
  };
  const onLost = ({ from, generation }: Envelope) => {
    const seat = rooms.seats.get(from);
    // The sender may have moved to another room since.
    if (seat?.generation === generation) seat.room.endGeneration(generation);
  };

  const on = { onAnswer, onAway, onRegained, onError };
  const lease = new NodeLease({ processId, registry: leases, clock, ttlMs: leaseMs, ...on });
  const streams = new NodeStreams({ lease, publisher, clock, counters, onLost, onError });
  const rooms = new LocalRooms({ store, lease, streams, connections, counters, clock, onError });
  const frames = createPeerFrames(rooms);
  lease.hurry();

  const backplane: Backplane = {
    async join(roomId, member, devices, leaving) {
      if (rooms.isFull) throw new Unavailable(new Error('too many rooms wait for Redis'));
      return rooms.open(roomId).join(member, devices, leaving);
    },

    depart: (roomId, connectionId, how) => rooms.open(roomId).depart(connectionId, how),
    forward: frames.forward,
    reaches: frames.reaches,
    roomCount: async () => [...rooms].filter(({ seats }) => seats.size > 0).length,

    async rooms() {
      const records = await store.list();
      await lease.ask();
      // Members of dead nodes stay in the record until it is changed.
      const isAlive = ({ node }: { node: string }) => lease.alive.has(node);
      return records
        .map(({ roomId, members }) => ({ roomId, members: members.filter(isAlive).length }))
        .filter(({ members }) => members > 0);
    },

    async close() {
      await rooms.close();
      await streams.close();
      // If the release fails, other nodes wait for the expiry.
      await lease.stop().catch(() => {});
    },
  };
  return {
    ...backplane,
    counters,
    lease,

    /** Takes a message for this node. */
    receive(text: string): void {
      const message = decodeMessage(text);
      if (message === undefined) {
        if (counters.unreadable === 0) {
          log.warn('messages from a node of another version are dropped');
        }
        counters.unreadable += 1;
        return;
      }
      for (const item of streams.take(message, text.length)) {
        if (item.kind === 'frame') frames.receive(item);
        else if (item.kind === 'update') rooms.open(item.record.roomId).receive(item);
        else rooms.reconcileAll();
      }
    },

    /** To be called after a new subscription, because earlier messages may be lost. */
    resubscribed(): void {
      lease.hurry();
      rooms.reconcileAll();
    },

    /** Rejects while this node may not act on its seats, or another node has its id. */
    async check(): Promise<void> {
      if (lease.isDuplicated) throw new Error('another node has the id of this one');
      if (!lease.acts || lease.state !== 'valid') throw new Error('no lease');
    },
  };
}
