// What a node of a cluster counts, in plain numbers.

/** Why a frame did not reach a connection of another node. */
export type FrameDrop =
  /** Sent by one who is not, or no longer, the peer. */
  | 'not_peer'
  /** It was meant for a company that has parted. */
  | 'parted'
  /** The lease was lost, or more waited for its verdict than may. */
  | 'lease'
  | 'unpublished'
  | 'overflow'
  | 'node_gone';

export interface ClusterCounters {
  readonly frameDrops: Record<FrameDrop, number>;
  framesSent: number;
  framesReceived: number;
  batchesSent: number;
  batchesReceived: number;
  noticesSent: number;
  /** Batches of others that never came, by their numbers. */
  batchesMissed: number;
  /** Rooms in which members had to be told more than they had heard of by notices. */
  caughtUp: number;
  /** Seats that passed to a new lease. */
  reclaims: number;
  /** Seats that were somebody else's by then. */
  refusedReclaims: number;
  /** Changes of a room that met another one, and were tried again. */
  conflicts: number;
  /** Nodes whose lease ran out, seen by this one. */
  deadNodes: number;
}

export function newClusterCounters(): ClusterCounters {
  return {
    frameDrops: {
      not_peer: 0,
      parted: 0,
      lease: 0,
      unpublished: 0,
      overflow: 0,
      node_gone: 0,
    },
    framesSent: 0,
    framesReceived: 0,
    batchesSent: 0,
    batchesReceived: 0,
    noticesSent: 0,
    batchesMissed: 0,
    caughtUp: 0,
    reclaims: 0,
    refusedReclaims: 0,
    conflicts: 0,
    deadNodes: 0,
  };
}
