// The schedule of faults, which is derived from the seed, and their execution.
import { setTimeout as sleep } from 'node:timers/promises';
import { type FaultKind, NODE_FAULTS, REDIS_FAULTS } from './history.js';
import { CUTS, type Engine } from './redis.js';
import type { ServerNode } from './server-node.js';
import { LEASE_SECONDS } from './settings.js';
import { Random, type World } from './world.js';

/** A fault: `atMs` after the beginning of its round, for so long. */
export interface Strike {
  what: Exclude<FaultKind, 'stall'>;
  /** null: Redis. */
  node: number | null;
  /** How a node is cut off, or which connections Redis closes. */
  how: string;
  atMs: number;
  forMs: number;
}

export interface Round {
  /** Load without faults, before. */
  calmMs: number;
  strikes: readonly Strike[];
}

/** Strikes begin within this time of their round. */
const ROUND_MS = 4000;

/** Rounds without end. All kinds of faults come in turn, and no node is struck twice in a round. */
export function* schedule(nodes: number): Generator<Round, never> {
  const random = new Random('schedule');
  const ofRedis = Object.keys(REDIS_FAULTS) as (keyof typeof REDIS_FAULTS)[];
  let next = random.below(ofRedis.length);
  const strike = (
    what: Strike['what'],
    node: number | null,
    [shortest, longest]: readonly [number, number],
    how: readonly string[],
  ): Strike => ({
    what,
    node,
    how: random.pick(how),
    atMs: random.below(ROUND_MS),
    forMs: Math.round(random.between(shortest, longest)),
  });
  for (let n = 0; ; n++) {
    const first = random.below(nodes);
    const count = Math.min(nodes, random.pick([1, 1, 1, 1, 2, 2, 2, 3]));
    const strikes = Array.from({ length: count }, (_, i) => {
      const what = i === 0 ? NODE_FAULTS[n % NODE_FAULTS.length] : random.pick(NODE_FAULTS);
      // Some shorter than the lease, most longer.
      const duration = [300 * LEASE_SECONDS, 2000 * LEASE_SECONDS] as const;
      return strike(what as Strike['what'], (first + i) % nodes, duration, CUTS);
    });
    // Redis has no fault in every other round, so that the checker can be certain of most states.
    for (let times = n % 2 === 1 ? 2 : 0; times > 0; times--) {
      const what = ofRedis[next++ % ofRedis.length] as keyof typeof REDIS_FAULTS;
      strikes.push(strike(what, null, REDIS_FAULTS[what], ['normal', 'pubsub']));
    }
    const calmMs = Math.round(random.between(2000, 5000));
    yield { calmMs, strikes: strikes.sort((a, b) => a.atMs - b.atMs) };
  }
}

let faults = 0;
/** Faults of Redis run one after the other. */
let engineIsFree: Promise<unknown> = Promise.resolve();

/** Causes a fault, and records its beginning and its end. Resolves when it is over. */
export async function strike(fault: Strike, world: World, engine: Engine): Promise<void> {
  await sleep(fault.atMs);
  const cause = () => strikeNow(fault, world, engine);
  if (fault.node !== null) return cause();
  const turn = engineIsFree.then(cause);
  engineIsFree = turn.catch(() => {});
  return turn;
}

async function strikeNow(
  { what, node, how, forMs }: Strike,
  { nodes, record }: World,
  engine: Engine,
): Promise<void> {
  const mark = { kind: 'fault', fault: ++faults, what, node } as const;
  const server = nodes[node ?? 0] as ServerNode;
  record({ ...mark, phase: 'begin' });
  switch (what) {
    case 'kill':
    case 'stop':
      await server.end(what === 'kill' ? 'SIGKILL' : 'SIGTERM');
      await sleep(forMs);
      await server.start();
      break;
    case 'pause':
      server.signal('SIGSTOP');
      await sleep(forMs);
      server.signal('SIGCONT');
      break;
    case 'cut':
      await engine.cut(server.number, how, forMs);
      break;
    default:
      await engine.suffer(what, how, forMs);
  }
  record({ ...mark, phase: 'end' });
}

/**
 * A longer turn of the event loop of this process is recorded as a fault: the clients read late. No other delay is excused,
 * because a delay of Redis or of a server may have its cause there. The bounds have room for shorter turns.
 */
const STALL_MS = 1000;
const TICK_MS = 100;

/** Watches the event loop of this process, and calls `tick` in each of its turns, until the returned function is called. */
export function watchForStalls({ record }: World, tick: (now: number) => void) {
  const watch = { stalledMs: 0, end: () => clearInterval(timer) };
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    if (now - last > STALL_MS) {
      const stall = { kind: 'fault', what: 'stall', node: null, fault: ++faults } as const;
      record({ ...stall, phase: 'begin' }, last);
      record({ ...stall, phase: 'end' }, now);
      watch.stalledMs += now - last;
    }
    last = now;
    tick(now);
  }, TICK_MS);
  return watch;
}
