// Derives the faults of a run from its seed: rounds of faults, each after a time without.
import { ENGINE_FAULTS } from './history.js';
import { Random } from './random.js';

export type Cut = 'refuse' | 'black-hole' | 'reset';

/** A fault: `atMs` after the beginning of its round, for so long. */
export type Strike = { atMs: number; forMs: number } & (
  | { what: 'kill' | 'stop' | 'pause'; node: number }
  | { what: 'cut'; node: number; how: Cut }
  | { what: 'burst'; node: number }
  | { what: 'redis-restart' | 'failover' }
  | { what: 'redis-pause' | 'redis-slow' | 'redis-full' | 'redis-flush' }
  | { what: 'redis-hang-up'; who: 'normal' | 'pubsub' }
);

export interface Round {
  /** Load without faults, before. */
  calmMs: number;
  strikes: readonly Strike[];
}

export interface Terrain {
  nodes: number;
  leaseMs: number;
  /** Whether the nodes have a Redis, with replicas. */
  redis: boolean;
}

/** Strikes begin within this time of their round. */
const ROUND_MS = 4000;

/** After this many rounds, each kind of fault of a node has occurred. */
export const ROUNDS_OF_ALL = 4;

/** After this many rounds, each kind of fault of Redis has occurred too. */
export const ROUNDS_OF_ALL_REDIS = 8;

/** Rounds without end. Each kind of fault comes once before any comes again. */
export function* schedule(seed: number, terrain: Terrain): Generator<Round> {
  const random = new Random(seed, 'schedule');
  const redisKinds = shuffledAgainAndAgain(random);
  for (let n = 0; ; n++) {
    const strikes = nodeStrikes(random, terrain, n);
    // Redis has no fault in every other round, so that the checker can be certain of most states.
    if (terrain.redis && n % 2 === 1) {
      for (let count = 0; count < 2; count++) {
        const what = redisKinds.next().value as RedisKind;
        strikes.push(
          what === 'burst' ? burst(random, terrain, strikes) : redisStrike(random, what),
        );
      }
    }
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

type RedisKind = (typeof ENGINE_FAULTS)[number] | 'burst';

function* shuffledAgainAndAgain(random: Random): Generator<RedisKind> {
  for (;;) {
    const deck: RedisKind[] = [...ENGINE_FAULTS, 'burst'];
    while (deck.length > 0) yield deck.splice(random.below(deck.length), 1)[0] as RedisKind;
  }
}

/** The shortest and longest duration of each kind. */
const REDIS_MS = {
  'redis-restart': [100, 1000],
  failover: [0, 3000],
  'redis-pause': [1000, 8000],
  'redis-slow': [2000, 6000],
  'redis-full': [1000, 6000],
  'redis-flush': [0, 0],
  'redis-hang-up': [0, 2000],
} as const;

/** At a node without another fault, if there is one. Otherwise that fault would refuse the burst. */
function burst(random: Random, { nodes }: Terrain, others: readonly Strike[]): Strike {
  const all = Array.from({ length: nodes }, (_, node) => node);
  const spared = all.filter(
    (node) => !others.some((other) => 'node' in other && other.node === node),
  );
  const node = random.pick(spared.length > 0 ? spared : all);
  return { atMs: Math.round(random.between(0, ROUND_MS)), forMs: 0, what: 'burst', node };
}

function redisStrike(random: Random, what: Exclude<RedisKind, 'burst'>): Strike {
  const atMs = Math.round(random.between(0, ROUND_MS));
  const [shortest, longest] = REDIS_MS[what];
  const forMs = Math.round(random.between(shortest, longest));
  if (what === 'redis-hang-up')
    return { atMs, forMs, what, who: random.pick(['normal', 'pubsub']) };
  return { atMs, forMs, what };
}

/** A strike in a line. */
export function describeStrike(strike: Strike): string {
  const where = 'node' in strike ? ` node ${strike.node}` : '';
  const how = 'how' in strike ? ` (${strike.how})` : 'who' in strike ? ` (${strike.who})` : '';
  return `${strike.what}${where}${how} after ${strike.atMs} ms for ${strike.forMs} ms`;
}
