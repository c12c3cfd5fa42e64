// What the load generator can be told to do, and what it answers: the whole language between it and the conductor.
import type { DialectName, FrameKind } from './dialects.js';

/** Where the server under load is. */
export interface Server {
  port: number;
  pid: number;
  /** Where there are several nodes. */
  cluster?: ClusterUnderLoad;
}

/** Where the two of a pair are: at one node, at different ones, or where a balancer sends them with the room hint or without. */
export type Place = 'same' | 'apart' | 'hinted' | 'unhinted';

/** Nodes of one cluster; `port` and `pid` are the first one's. */
export interface ClusterUnderLoad {
  ports: readonly number[];
  pids: readonly number[];
  redisPid: number;
  balancerPort: number | undefined;
  place: Place;
  /** Number of the first pair: rooms of their own for each generator. */
  firstPair: number;
}

/** Pairs that answer every message with one: as fast as the server forwards. */
export interface ClosedForwardJob extends Server {
  kind: 'forward-closed';
  dialect: DialectName;
  pairs: number;
  frame: FrameKind;
  /** Messages on their way in each pair; with `hop`, in all pairs together. */
  inFlight: number;
  /** Whether an answer is sent in the next room, so that few messages at a time visit every room. */
  hop: boolean;
}

/** Pairs that send at a fixed rate, whatever the server does. */
export interface OpenForwardJob extends Server {
  kind: 'forward-open';
  dialect: DialectName;
  pairs: number;
  frame: FrameKind;
  messagesPerSecond: number;
}

/** Clients that pair: create, check, accept, check; or, against a server that does nothing, as many single requests. */
export interface PairingJob extends Server {
  kind: 'pairing';
  flow: 'pairing' | 'no-op';
  clients: number;
  /** Flows per second of all clients together; 0: as many as there can be. */
  flowsPerSecond: number;
}

/** Forwarding at a fixed rate while others pair; the pairing can be left out, and is then the comparison. */
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

/** Connections that are opened and then left alone. */
export interface CrowdJob extends Server {
  kind: 'crowd';
  dialect: DialectName;
  connections: number;
  /** Whether they enter rooms, in pairs. */
  join: boolean;
  /** Connections that may be in the making at once; `connections` makes it a storm. */
  atOnce: number;
}

export type Job = ClosedForwardJob | OpenForwardJob | PairingJob | MixedJob | WaitJob | CrowdJob;

/** What one measurement found. */
export interface Measured {
  /** By name; each job says which it has. */
  values: Record<string, number>;
  errors: number;
}

/** What the generator adds: who was busy while it was measured. */
export interface Measurement extends Measured {
  loadCpu: number | null;
  serverCpu: number | null;
  crowded: number | null;
}

/** One job under way, in the generator. */
export interface Load {
  /** Connects, and warms both sides up. */
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
