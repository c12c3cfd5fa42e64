// What goes wrong when: the seed alone decides. Rounds of faults, each after a time of calm, until the time is up.
import { Random } from './random.js';

export type Cut = 'refuse' | 'black-hole' | 'reset';

/** A fault: `atMs` after the beginning of its round, for so long. */
export type Strike = { atMs: number; forMs: number } & (
  | { what: 'kill' | 'stop' | 'pause'; node: number }
  | { what: 'cut'; node: number; how: Cut }
  | { what: 'redis-restart' | 'failover' }
);

export interface Round {
  /** Load without faults, before. */
  calmMs: number;
  strikes: readonly Strike[];
}

export interface Terrain {
  nodes: number;
  leaseMs: number;
  /** Whether there is a Redis to cut from and to restart. */
  redis: boolean;
  /** Whether Redis has replicas and Sentinels. */
  failover: boolean;
}

/** Strikes begin within this time of their round. */
const ROUND_MS = 4000;

/** After so many rounds each kind of fault has come. */
export const ROUNDS_OF_ALL = 4;

/** Rounds without end. Each kind of fault comes first once, in the order of {@link Strike}, so that a short run has all. */
export function* schedule(seed: number, terrain: Terrain): Generator<Round> {
  const random = new Random(seed, 'schedule');
  for (let n = 0; ; n++) {
    const strikes = [...nodeStrikes(random, terrain, n), ...redisStrikes(random, terrain, n)];
    yield {
      calmMs: Math.round(random.between(2000, 5000)),
      strikes: strikes.sort((a, b) => a.atMs - b.atMs),
    };
  }
}

/** No node is struck twice in a round; sometimes all are. */
function nodeStrikes(random: Random, { nodes, leaseMs, redis }: Terrain, n: number): Strike[] {
  const kinds = ['kill', 'pause', ...(redis ? (['cut'] as const) : []), 'stop'] as const;
  const first = random.below(nodes);
  const count = random.weighted({ 1: 4, 2: 3, 3: 1 });
  return Array.from({ length: Math.min(nodes, Number(count)) }, (_, i) => {
    const node = (first + i) % nodes;
    const what = i === 0 ? (kinds[n % kinds.length] as (typeof kinds)[number]) : random.pick(kinds);
    const atMs = Math.round(random.between(0, ROUND_MS));
    // Some shorter than the lease, most longer.
    const forMs = Math.round(leaseMs * random.between(0.3, 2));
    if (what !== 'cut') return { atMs, forMs, what, node };
    return { atMs, forMs, what, node, how: random.pick(['refuse', 'black-hole', 'reset']) };
  });
}

function redisStrikes(random: Random, { redis, failover }: Terrain, n: number): Strike[] {
  // Every other round the engine stays up: then most that is seen is certain.
  if (!redis || n % 2 === 0) return [];
  const what = failover && n % 4 === 3 ? 'failover' : 'redis-restart';
  const atMs = Math.round(random.between(0, ROUND_MS));
  const forMs = Math.round(
    what === 'failover' ? random.between(0, 3000) : random.between(100, 1000),
  );
  return [{ atMs, forMs, what }];
}

/** A strike in a line. */
export function describeStrike(strike: Strike): string {
  const where = 'node' in strike ? ` node ${strike.node}` : '';
  const how = 'how' in strike ? ` (${strike.how})` : '';
  return `${strike.what}${where}${how} after ${strike.atMs} ms for ${strike.forMs} ms`;
}
