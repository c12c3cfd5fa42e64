// Counts events between the nodes of a cluster in plain numbers, and registers their metrics.
import { type Metrics, zeros } from '../../observability/metrics.js';
import { LEASE_STATES, type NodeLease } from './node-lease.js';

/** Why a frame did not reach a connection of another node. */
const DROPS = [
  /** The sender is not, or no longer, the peer. */
  'not_peer',
  /** The generation in which it was sent has ended. */
  'parted',
  /** The lease was lost while the frame waited for it. */
  'lease',
  /** The sender gave up on the frame, because the peer's node did not acknowledge it. */
  'unpublished',
  /** The queue was full. */
  'overflow',
  'node_gone',
] as const;

export type FrameDrop = (typeof DROPS)[number];

/** Counter → name and help of its metric. */
const COUNTS = {
  framesSent: ['couplet_node_frames_sent_total', 'Messages forwarded to a peer on another node.'],
  framesReceived: ['couplet_node_frames_received_total', 'Messages received from another node.'],
  batchesSent: [
    'couplet_node_batches_sent_total',
    'Publications to other nodes, one for each turn.',
  ],
  batchesReceived: ['couplet_node_batches_received_total', 'Publications from other nodes.'],
  gaps: ['couplet_node_gaps_total', 'Requests to another node to repeat missing publications.'],
  unreadable: [
    'couplet_node_unreadable_total',
    'Publications of other nodes that were dropped because their format is that of another version.',
  ],
  updatesSent: ['couplet_room_updates_sent_total', 'Room changes sent to another node.'],
  reclaims: ['couplet_seats_reclaimed_total', 'Seats moved to a new lease of this node.'],
  refusedReclaims: ['couplet_seats_lost_total', 'Seats lost while this node had no lease.'],
  conflicts: ['couplet_room_conflicts_total', 'Room changes retried after one of another node.'],
  deadNodes: ['couplet_dead_nodes_total', 'Leases of other nodes that ended, or were released.'],
} as const;

const COUNT_NAMES = Object.keys(COUNTS) as (keyof typeof COUNTS)[];

export type ClusterCounters = ReturnType<typeof newCounters>;

export const newCounters = () => ({ ...zeros(COUNT_NAMES), frameDrops: zeros(DROPS) });

export function clusterMetrics(metrics: Metrics, lease: NodeLease, counters: ClusterCounters) {
  metrics.levels(
    'couplet_lease_state',
    '1 for the current state of this node’s lease. valid: not expired. suspect: expired by a clock of this node, and not yet checked in Redis. away: Redis does not answer.',
    'state',
    LEASE_STATES,
    () => ({ ...zeros(LEASE_STATES), [lease.state]: 1 }),
  );
  metrics.level(
    'couplet_nodes',
    'Nodes with a valid lease by the last answer of Redis, including this one.',
    () => lease.processes.size,
  );
  metrics.level('couplet_lease_seconds', 'The setting LEASE_SECONDS.', () => lease.ttlMs / 1000);
  metrics.level(
    'couplet_lease_margin_seconds',
    'Seconds left of the lease of this node at its last renewal.',
    () => lease.marginMs / 1000,
  );
  metrics.count('couplet_leases_lost_total', 'Leases that this node lost.', () => lease.losses);
  metrics.counts(
    'couplet_node_frame_drops_total',
    'Messages between nodes, or held for a lease, that were dropped, by cause.',
    'cause',
    () => counters.frameDrops,
  );
  for (const count of COUNT_NAMES) {
    const [name, help] = COUNTS[count];
    metrics.count(name, help, () => counters[count]);
  }
}
