// The load that a cluster is sized for, and how full its machines may be: all that is assumed, nothing that is measured.

export interface ClusterLoad {
  connections: number;
  pairingsPerSecond: number;
  /** Messages of a pair once its room is ready: offers and answers, and candidates. */
  descriptionsPerPairing: number;
  candidatesPerPairing: number;
  /** Share of pairs that the balancer sends to one node by the room hint. The others are at nodes by chance. */
  hintedShare: number;
  /** How long a code waits for the second device. */
  secondsToAccept: number;
  /** Requests of a pairing that come with an `Idempotency-Key`. */
  recordsPerPairing: number;
  /** How long a paired room is kept. */
  roomDays: number;
  heartbeatSeconds: number;
  /** Share of a core, and of the memory of a node or of a Redis, that is to be used. */
  share: number;
  connectionsPerNode: number;
  nodeGb: number;
  masterGb: number;
}

/**
 * A million connections, and pairings that go on like this all day: both devices of each then enter their room. All of
 * pairing is on one master of Redis, whose core and memory bound it.
 */
export const MILLION: ClusterLoad = {
  connections: 1_000_000,
  pairingsPerSecond: 1000,
  descriptionsPerPairing: 2,
  candidatesPerPairing: 20,
  // Nearly all where every client has the SDK; less for a while after a node was restarted.
  hintedShare: 0.9,
  secondsToAccept: 30,
  // `@couplet/client` sends one with each; of the two checks the second is kept.
  recordsPerPairing: 3,
  // ROOM_IDLE_DAYS=1, the shortest there is.
  roomDays: 1,
  // HEARTBEAT_SECONDS and MAX_CONNECTIONS as they come.
  heartbeatSeconds: 30,
  share: 0.5,
  connectionsPerNode: 50_000,
  nodeGb: 1,
  masterGb: 32,
};
