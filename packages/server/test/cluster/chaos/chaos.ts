// Runs servers, clients and faults from one seed, and checks the history.
import { closeSync, openSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { CHAOS_HISTORY } from './budget.js';
import type { Bounds } from './checker/bounds.js';
import { check, type Verdict } from './checker/check.js';
import { Stalls } from './checker/stalls.js';
import { explain } from './checker/violation.js';
import { type Engine, strike, watchForStalls } from './faults.js';
import { type Event, History, isOfPair, type Part } from './history.js';
import { Pair } from './pair.js';
import { Random } from './random.js';
import { describeStrike, ROUNDS_OF_ALL, type Round, schedule, type Terrain } from './schedule.js';
import type { ServerNode } from './server-node.js';
import { summary } from './summary.js';
import { Secrets, World } from './world.js';

export interface Arena {
  nodes: readonly ServerNode[];
  engine: Engine | undefined;
  terrain: Terrain;
  bounds: Bounds;
}

export interface Budget {
  seed: number;
  seconds: number;
  pairs: number;
  /** Takes every line of the report. */
  report: (line: string) => void;
}

/** Period of the clients' checks whether their servers still answer. */
const WATCH_MS = 250;
/** A recovery that takes longer than it may is waited for a little, to see by how much. */
const GRACE_MS = 2000;
/** Of the violations, so many are shown whole. */
const SHOWN = 5;

/** Runs it. The nodes have been started; they are stopped at the end. */
export async function chaos(arena: Arena, budget: Budget): Promise<Verdict> {
  const { nodes, bounds } = arena;
  const { seed, pairs: count, report } = budget;
  const history = new History();
  const world = new World(history, new Secrets(), nodes, report);
  for (const node of nodes) node.observe(world);
  const pairs = Array.from({ length: count }, (_, number) => {
    return new Pair(world, number, (name) => new Random(seed, `pair ${number} ${name}`));
  });
  const endWatch = watchForStalls(history);
  const watch = setInterval(() => {
    for (const { creator, acceptor } of pairs) {
      creator.watch(performance.now());
      acceptor.watch(performance.now());
    }
  }, WATCH_MS);
  const lives = pairs.map((pair) => pair.live());
  // The history until then is checked and shown, even if a server or Redis did not come back.
  const failure = await faultsUntilTheTimeIsUp(arena, budget, world).then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  // The last that happened is judged too: nothing of it may still be on its way.
  await sleep(bounds.settleMs);
  world.mode = 'over';
  for (const pair of pairs) pair.end();
  await Promise.all(lives);
  // A connection that was being opened meanwhile is there now.
  for (const pair of pairs) pair.end();
  clearInterval(watch);
  const { busy, longestMs } = endWatch();
  for (const node of nodes) {
    const how = await node.stop();
    if (how !== '0') history.add({ kind: 'died', node: node.number, how: `${how} at the end` });
  }
  if (CHAOS_HISTORY !== '') keep(history, CHAOS_HISTORY);
  const verdict = check(history.events, bounds);
  for (const line of summary(history.events, verdict, nodes)) report(line);
  report(
    `this process: ${Math.round(100 * busy)} % busy, its longest turn ${Math.round(longestMs)} ms`,
  );
  for (const violation of verdict.violations.slice(0, SHOWN)) {
    report(`VIOLATION ${explain(history.events, violation)}`);
  }
  for (const { rule, what, t } of verdict.violations) {
    report(`seed ${seed}: ${rule} at ${(t / 1000).toFixed(3)} s: ${what}`);
  }
  if (failure) throw failure.error;
  return verdict;
}

function keep({ events }: History, path: string): void {
  const file = openSync(path, 'w');
  for (const event of events) writeSync(file, `${JSON.stringify(event)}\n`);
  closeSync(file);
}

async function faultsUntilTheTimeIsUp(arena: Arena, budget: Budget, world: World): Promise<void> {
  const { seed, seconds, pairs, report } = budget;
  const end = performance.now() + seconds * 1000;
  let n = 0;
  const watcher = new Watcher(world);
  await firstSteps(watcher, pairs, arena.bounds);
  for (const round of schedule(seed, arena.terrain)) {
    report(`round ${++n}: ${round.strikes.map(describeStrike).join(', ')}`);
    const tookMs = await playRound(round, arena, watcher, pairs);
    report(`round ${n}: all ${pairs} pairs served again after ${Math.round(tookMs)} ms`);
    if (performance.now() > end && (n >= ROUNDS_OF_ALL || !arena.terrain.failover)) return;
  }
}

/** Until everyone has paired and met, there is nothing to disturb. */
async function firstSteps(watcher: Watcher, pairs: number, bounds: Bounds): Promise<void> {
  await sleep(5000);
  await watcher.recovery(pairs, bounds);
}

async function playRound(
  round: Round,
  { nodes, engine, bounds }: Arena,
  watcher: Watcher,
  pairs: number,
): Promise<number> {
  await sleep(round.calmMs);
  await Promise.all(
    round.strikes.map(async (fault) => {
      await sleep(fault.atMs);
      await strike(fault, { world: watcher.world, nodes, engine });
    }),
  );
  return watcher.recovery(pairs, bounds);
}

/** Reads the history as it grows, each event once. */
class Watcher {
  readonly world: World;
  readonly #who = new Map<number, { pair: number; part: Part }>();
  readonly #stalls = new Stalls();
  #seen = 0;

  constructor(world: World) {
    this.world = world;
  }

  /** Everyone wants its seat now: resolves when every pair has talked both ways, or the bound is long over. */
  async recovery(pairs: number, { usableMs }: Bounds): Promise<number> {
    const { history, served } = this.world;
    const began = performance.now();
    this.#read(() => {});
    history.add({ kind: 'healed', pairs });
    this.world.mode = 'recovery';
    served.clear();
    const tookMs = () => {
      const now = performance.now();
      return now - began - this.#stalls.msWithin(began, now);
    };
    // Messages from before the last fault was over do not count.
    const sent = new Set<string>();
    const heard = new Set<string>();
    while (served.size < pairs && tookMs() < usableMs + GRACE_MS) {
      await sleep(50);
      this.#read((event) => {
        if (event.kind === 'sent') sent.add(`${event.conn}/${event.n}`);
        if (event.kind !== 'frame' || !event.label) return;
        const [to, from] = [this.#who.get(event.conn), this.#who.get(event.label.conn)];
        if (!to || !from || !isOfPair(to) || !isOfPair(from)) return;
        if (!sent.has(`${event.label.conn}/${event.label.n}`)) return;
        heard.add(`${to.pair} ${to.part}`);
        if (heard.has(`${to.pair} creator`) && heard.has(`${to.pair} acceptor`)) {
          served.add(to.pair);
        }
      });
    }
    this.world.mode = 'load';
    return tookMs();
  }

  #read(listener: (event: Event) => void): void {
    const { events } = this.world.history;
    for (; this.#seen < events.length; this.#seen++) {
      const event = events[this.#seen] as Event;
      if (event.kind === 'connected') this.#who.set(event.conn, event);
      this.#stalls.take(event);
      listener(event);
    }
  }
}
