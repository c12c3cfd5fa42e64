// The load that a cluster is sized for, and the share of its machines to use: assumptions, not measurements.

export interface ClusterLoad {
  connections: number;
  pairingsPerSecond: number;
  /** Messages of a pair once its room is ready: offers and answers, and candidates. */
  descriptionsPerPairing: number;
  candidatesPerPairing: number;
  /** Share of pairs that the balancer sends to one node by the room hint. The others are distributed by chance. */
  hintedShare: number;
  /** How long a code waits for the second device. */
  secondsToAccept: number;
  /** Requests of a pairing that have an `Idempotency-Key`. */
  recordsPerPairing: number;
  /** How long a paired room is kept. */
  roomDays: number;
  heartbeatSeconds: number;
  /** Share of a core, and of the memory of a node or of a Redis, that should be used. */
  share: number;
  connectionsPerNode: number;
  nodeGb: number;
  masterGb: number;
}

/**
 * A million connections, and a constant rate of pairings, after each of which both devices enter their room. All of
 * pairing is on one Redis master, whose core and memory limit it.
 */
export const MILLION: ClusterLoad = {
  connections: 1_000_000,
  pairingsPerSecond: 1000,
  descriptionsPerPairing: 2,
  candidatesPerPairing: 20,
  // Nearly all if every client has the SDK; less for a while after a node was restarted.
  hintedShare: 0.9,
  secondsToAccept: 30,
  // `@couplet/client` sends a key with each; of the two checks, the second is kept.
  recordsPerPairing: 3,
  // ROOM_IDLE_DAYS=1, the minimum.
  roomDays: 1,
  // HEARTBEAT_SECONDS and MAX_CONNECTIONS have their defaults.
  heartbeatSeconds: 30,
  share: 0.5,
  connectionsPerNode: 50_000,
  nodeGb: 1,
  masterGb: 32,
};
