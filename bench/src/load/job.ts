// Defines the messages between the conductor and the load generator: jobs and their results.
import type { DialectName, FrameKind } from './dialects.js';

/** The address of the server under load. */
export interface Server {
  port: number;
  pid: number;
  /** The nodes, if there are several. */
  cluster?: ClusterUnderLoad;
}

/** The nodes of a pair: the same, different ones, or chosen by a balancer with or without the room hint. */
export type Place = 'same' | 'apart' | 'hinted' | 'unhinted';

/** Nodes of one cluster; `port` and `pid` are those of the first. */
export interface ClusterUnderLoad {
  ports: readonly number[];
  pids: readonly number[];
  redisPid: number;
  balancerPort: number | undefined;
  place: Place;
  /** Number of the first pair, so that each generator has its own rooms. */
  firstPair: number;
}

/** Pairs that answer each message with another, as fast as the server forwards. */
export interface ClosedForwardJob extends Server {
  kind: 'forward-closed';
  dialect: DialectName;
  pairs: number;
  frame: FrameKind;
  /** Messages in flight in each pair; with `hop`, in all pairs together. */
  inFlight: number;
  /** Whether an answer is sent in the next room, so that a few messages visit every room. */
  hop: boolean;
}

/** Pairs that send at a fixed rate, regardless of the server. */
export interface OpenForwardJob extends Server {
  kind: 'forward-open';
  dialect: DialectName;
  pairs: number;
  frame: FrameKind;
  messagesPerSecond: number;
}

/** Clients that pair: create, check, accept, check; or, against a no-op server, as many single requests. */
export interface PairingJob extends Server {
  kind: 'pairing';
  flow: 'pairing' | 'no-op';
  clients: number;
  /** Flows per second of all clients together; 0: as many as possible. */
  flowsPerSecond: number;
}

/** Forwards at a fixed rate while others pair; without the pairing, it is the comparison. */
export interface MixedJob extends Server {
  kind: 'mixed';
  forward: OpenForwardJob;
  pairing: PairingJob | null;
}

/** Checks held by `Prefer: wait`, and their accepts. */
export interface WaitJob extends Server {
  kind: 'wait';
  checks: number;
}

/** Connections that are opened and then left idle. */
export interface CrowdJob extends Server {
  kind: 'crowd';
  dialect: DialectName;
  connections: number;
  /** Whether they enter rooms, in pairs. */
  join: boolean;
  /** Number of connections that may be opening at once; if it equals `connections`, this is a storm. */
  atOnce: number;
}

export type Job = ClosedForwardJob | OpenForwardJob | PairingJob | MixedJob | WaitJob | CrowdJob;

/** The results of one measurement. */
export interface Measured {
  /** By name; each job documents its values. */
  values: Record<string, number>;
  errors: number;
}

/** Values that the generator adds: CPU shares during the measurement. */
export interface Measurement extends Measured {
  loadCpu: number | null;
  serverCpu: number | null;
  crowded: number | null;
}

/** A running job in the generator. */
export interface Load {
  /** Connects, and warms up both sides. */
  prepare(): Promise<void>;
  /** Measures for about this long. May be called again. */
  measure(seconds: number): Promise<Measured>;
  stop(): void;
}

export type Order =
  | { order: 'prepare'; job: Job }
  | { order: 'measure'; seconds: number; serverPids: readonly number[] };

export type Report =
  | { report: 'ready' }
  | { report: 'measured'; measurement: Measurement }
  | { report: 'failed'; reason: string };
