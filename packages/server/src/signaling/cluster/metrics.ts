// What a node of a cluster shows beyond any other: its lease, what it says to other nodes and hears of them, and what was lost on the way.
import type { Metrics } from '../../platform/metrics.js';
import type { ClusterBackplane } from './cluster-backplane.js';

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
  metrics.level(
    'couplet_nodes',
    'Nodes whose lease runs, as this one was last told, itself included.',
    () => backplane.nodes,
  );
  metrics.level('couplet_lease_seconds', 'LEASE_SECONDS.', () => lease.ttlMs / 1000);
  metrics.level(
    'couplet_lease_margin_seconds',
    'What was left of the lease when it was last renewed.',
    () => lease.marginMs / 1000,
  );
  metrics.count('couplet_leases_lost_total', 'Leases that ran out.', () => lease.losses);
  metrics.count(
    'couplet_seats_reclaimed_total',
    'Seats that passed to a new lease.',
    () => counters.reclaims,
  );
  metrics.count(
    'couplet_seats_lost_total',
    'Seats that were given to others while this node had no lease.',
    () => counters.refusedReclaims,
  );
  metrics.count(
    'couplet_node_frames_sent_total',
    'Messages forwarded to a peer on another node.',
    () => counters.framesSent,
  );
  metrics.count(
    'couplet_node_frames_received_total',
    'Messages for a peer here that came from another node.',
    () => counters.framesReceived,
  );
  metrics.counts(
    'couplet_node_frame_drops_total',
    'Messages between nodes, or held for a lease, that reached nobody.',
    'cause',
    () => counters.frameDrops,
  );
  metrics.count(
    'couplet_node_batches_sent_total',
    'Publications to other nodes, each with all that one had to say at a time.',
    () => counters.batchesSent,
  );
  metrics.count(
    'couplet_node_batches_received_total',
    'Publications of other nodes that arrived.',
    () => counters.batchesReceived,
  );
  metrics.count(
    'couplet_node_batches_missed_total',
    'Publications of other nodes that never arrived, by their numbers.',
    () => counters.batchesMissed,
  );
  metrics.count(
    'couplet_room_notices_sent_total',
    'Changes of rooms told to another node.',
    () => counters.noticesSent,
  );
  metrics.count(
    'couplet_rooms_caught_up_total',
    'Rooms whose members were told, after the room was read anew, what no notice had told.',
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
