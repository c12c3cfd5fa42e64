// Counts what happens between the nodes of a cluster, in plain numbers, and shows it to a scrape.
import type { Metrics } from '../../observability/metrics.js';
import { zeros } from '../counters.js';
import type { NodeLease } from './node-lease.js';

/** Why a frame did not reach a connection of another node. */
const DROPS = [
  /** The sender is not, or no longer, the peer. */
  'not_peer',
  /** The generation in which it was sent has ended. */
  'parted',
  /** The lease was lost while the frame waited for it. */
  'lease',
  /** The node of the peer did not acknowledge it, and it was given up. */
  'unpublished',
  /** Too much waited already. */
  'overflow',
  'node_gone',
] as const;

export type FrameDrop = (typeof DROPS)[number];

/** Counter → name and help of its metric. */
const COUNTS = {
  framesSent: ['couplet_node_frames_sent_total', 'Messages forwarded to a peer on another node.'],
  framesReceived: [
    'couplet_node_frames_received_total',
    'Messages from another node for a peer on this one.',
  ],
  batchesSent: [
    'couplet_node_batches_sent_total',
    'Publications to other nodes; each holds what one turn of the event loop sent to one node.',
  ],
  batchesReceived: [
    'couplet_node_batches_received_total',
    'Publications of other nodes that arrived.',
  ],
  gaps: [
    'couplet_node_gaps_total',
    'Times that publications of another node were missing and were requested again.',
  ],
  unreadable: [
    'couplet_node_unreadable_total',
    'Publications of other nodes that were dropped because another version wrote them.',
  ],
  updatesSent: ['couplet_room_updates_sent_total', 'Changes of rooms sent to another node.'],
  caughtUp: [
    'couplet_rooms_caught_up_total',
    'Rooms whose members were told, after the room was read again, what no update had told.',
  ],
  reclaims: ['couplet_seats_reclaimed_total', 'Seats that passed to a new lease.'],
  refusedReclaims: [
    'couplet_seats_lost_total',
    'Seats that were given to other connections while this node had no lease.',
  ],
  conflicts: [
    'couplet_room_conflicts_total',
    'Changes of a room that met one of another node and were tried again.',
  ],
  deadNodes: [
    'couplet_dead_nodes_total',
    'Other nodes whose lease this one saw end, at their shutdown too.',
  ],
} as const;

type Count = keyof typeof COUNTS;

const COUNT_NAMES = Object.keys(COUNTS) as Count[];

export type ClusterCounters = Record<Count, number> & {
  readonly frameDrops: Record<FrameDrop, number>;
};

export const newCounters = (): ClusterCounters => ({
  ...zeros(COUNT_NAMES),
  frameDrops: zeros(DROPS),
});

/** What a scrape reads of the backplane. */
interface CountedBackplane {
  readonly lease: NodeLease;
  readonly counters: ClusterCounters;
  readonly nodes: number;
}

const STATES = ['valid', 'suspect', 'away'] as const;

export function clusterMetrics(metrics: Metrics, backplane: CountedBackplane): void {
  const { lease, counters } = backplane;
  metrics.levels(
    'couplet_lease_state',
    '1 for the state of the lease of this node: valid, suspect while it is not known whether it still runs, away while that cannot be asked.',
    'state',
    STATES,
    () => ({ ...zeros(STATES), [lease.state]: 1 }),
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
  metrics.counts(
    'couplet_node_frame_drops_total',
    'Messages between nodes, or held for a lease, that were not delivered.',
    'cause',
    () => counters.frameDrops,
  );
  for (const count of COUNT_NAMES) {
    const [name, help] = COUNTS[count];
    metrics.count(name, help, () => counters[count]);
  }
}
