// Counts what happens between the nodes of a cluster, in plain numbers, and shows it to a scrape.
import type { Metrics } from '../../platform/metrics.js';
import type { ClusterBackplane } from './cluster-backplane.js';

/** Why a frame did not reach a connection of another node. */
export type FrameDrop = keyof ReturnType<typeof newCounters>['frameDrops'];
export type ClusterCounters = ReturnType<typeof newCounters>;

/** All but `frameDrops` are explained by the metrics below. */
export function newCounters() {
  return {
    frameDrops: {
      /** The sender is not, or no longer, the peer. */
      not_peer: 0,
      /** The generation in which it was sent has ended. */
      parted: 0,
      /** The lease was lost while the frame waited for it. */
      lease: 0,
      /** The node of the peer did not acknowledge it, and it was given up. */
      unpublished: 0,
      /** Too much waited already. */
      overflow: 0,
      node_gone: 0,
    },
    framesSent: 0,
    framesReceived: 0,
    batchesSent: 0,
    batchesReceived: 0,
    gaps: 0,
    unreadable: 0,
    updatesSent: 0,
    caughtUp: 0,
    reclaims: 0,
    refusedReclaims: 0,
    conflicts: 0,
    deadNodes: 0,
  };
}

const STATES = ['valid', 'suspect', 'away'] as const;

export function clusterMetrics(metrics: Metrics, backplane: ClusterBackplane): void {
  const { lease, counters } = backplane;
  metrics.levels(
    'couplet_lease_state',
    '1 for the state of the lease of this node: valid, suspect while it is not known whether it still runs, away while that cannot be asked.',
    'state',
    STATES,
    () => ({ valid: 0, suspect: 0, away: 0, [lease.state]: 1 }),
  );
  metrics.counts(
    'couplet_node_frame_drops_total',
    'Messages between nodes, or held for a lease, that were not delivered.',
    'cause',
    () => counters.frameDrops,
  );
  metrics.level(
    'couplet_nodes',
    'Nodes whose lease runs, as far as this one was told, itself included.',
    () => backplane.nodes,
  );
  metrics.level('couplet_lease_seconds', 'LEASE_SECONDS.', () => lease.ttlMs / 1000);
  metrics.level(
    'couplet_lease_margin_seconds',
    'Seconds that were left of the lease when it was last renewed.',
    () => lease.marginMs / 1000,
  );
  metrics.count(
    'couplet_leases_lost_total',
    'Leases of this node that ran out.',
    () => lease.losses,
  );
  metrics.count(
    'couplet_seats_reclaimed_total',
    'Seats that passed to a new lease.',
    () => counters.reclaims,
  );
  metrics.count(
    'couplet_seats_lost_total',
    'Seats that were given to other connections while this node had no lease.',
    () => counters.refusedReclaims,
  );
  metrics.count(
    'couplet_node_frames_sent_total',
    'Messages forwarded to a peer on another node.',
    () => counters.framesSent,
  );
  metrics.count(
    'couplet_node_frames_received_total',
    'Messages from another node for a peer on this one.',
    () => counters.framesReceived,
  );
  metrics.count(
    'couplet_node_batches_sent_total',
    'Publications to other nodes; each holds what one turn of the event loop sent to one node.',
    () => counters.batchesSent,
  );
  metrics.count(
    'couplet_node_batches_received_total',
    'Publications of other nodes that arrived.',
    () => counters.batchesReceived,
  );
  metrics.count(
    'couplet_node_gaps_total',
    'Times that publications of another node were missing and were requested again.',
    () => counters.gaps,
  );
  metrics.count(
    'couplet_node_unreadable_total',
    'Publications of other nodes that were dropped because another version wrote them.',
    () => counters.unreadable,
  );
  metrics.count(
    'couplet_room_updates_sent_total',
    'Changes of rooms sent to another node.',
    () => counters.updatesSent,
  );
  metrics.count(
    'couplet_rooms_caught_up_total',
    'Rooms whose members were told, after the room was read again, what no update had told.',
    () => counters.caughtUp,
  );
  metrics.count(
    'couplet_room_conflicts_total',
    'Changes of a room that met one of another node and were tried again.',
    () => counters.conflicts,
  );
  metrics.count(
    'couplet_dead_nodes_total',
    'Other nodes whose lease this one saw end, at their shutdown too.',
    () => counters.deadNodes,
  );
}
