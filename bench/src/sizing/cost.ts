// The cost of an event in nodes, Redis and the network; costs can be added and multiplied. Pure.

/** In all nodes and in Redis together. */
export interface Cost {
  nodeMicroseconds: number;
  redisMicroseconds: number;
  /** Sent to Redis by nodes. */
  commands: number;
  bytesToRedis: number;
  bytesFromRedis: number;
  bytesFromClients: number;
  bytesToClients: number;
}

export const NOTHING: Readonly<Cost> = {
  nodeMicroseconds: 0,
  redisMicroseconds: 0,
  commands: 0,
  bytesToRedis: 0,
  bytesFromRedis: 0,
  bytesFromClients: 0,
  bytesToClients: 0,
};

const KINDS = Object.keys(NOTHING) as (keyof Cost)[];

const each = (value: (kind: keyof Cost) => number): Cost =>
  Object.fromEntries(KINDS.map((kind) => [kind, value(kind)])) as unknown as Cost;

export const sumOf = (costs: readonly Cost[]): Cost =>
  each((kind) => costs.reduce((sum, cost) => sum + cost[kind], 0));

export const times = (cost: Cost, factor: number): Cost => each((kind) => cost[kind] * factor);
