// Runs servers, clients and faults from one seed, and checks the history.
import { closeSync, openSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { check, type Verdict } from './checker/check.js';
import { Spans } from './checker/disturbances.js';
import { Recovery } from './checker/recovery.js';
import { explain } from './checker/violation.js';
import { strike, watchForStalls } from './faults.js';
import { History } from './history.js';
import { Pair } from './pair.js';
import { Random } from './random.js';
import type { Engine } from './redis.js';
import { describeStrike, ROUNDS_OF_ALL, schedule } from './schedule.js';
import type { ServerNode } from './server-node.js';
import { BOUNDS, CHAOS_HISTORY, CHAOS_SEED, LEASE_SECONDS } from './settings.js';
import { summary } from './summary.js';
import { Secrets, World } from './world.js';

export interface Arena {
  nodes: readonly ServerNode[];
  engine: Engine | undefined;
  seconds: number;
  pairs: number;
}

/** Period of the clients' checks whether their servers still answer. */
const WATCH_MS = 250;
/** A recovery beyond its bound is waited for a little longer, for its duration in the report. */
const GRACE_MS = 2000;
/** The number of violations that are shown with their events. */
const SHOWN = 5;

export const report = (line: string) => void process.stdout.write(`chaos: ${line}\n`);

/** Runs it. The nodes have been started; they are stopped at the end. */
export async function chaos({ nodes, engine, seconds, pairs: count }: Arena): Promise<Verdict> {
  report(
    `seed ${CHAOS_SEED}, ${seconds} s, ${count} pairs; CHAOS_SEED and CHAOS_SECONDS set others`,
  );
  const history = new History();
  const world = new World(history, new Secrets(), nodes, report);
  for (const node of nodes) node.observe(world);
  const pairs = Array.from(
    { length: count },
    (_, number) => new Pair(world, number, (name) => new Random(CHAOS_SEED, `${number} ${name}`)),
  );
  const endWatch = watchForStalls(history);
  const watch = setInterval(() => {
    for (const { creator, acceptor } of pairs) {
      creator.watch(performance.now());
      acceptor.watch(performance.now());
    }
  }, WATCH_MS);
  const lives = pairs.map((pair) => pair.live());
  // If a server or Redis does not come back, the history until then is still checked and shown.
  const failure = await playRounds({ nodes, engine, seconds, pairs: count }, world).then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  // The last events are judged too, so nothing may still be in transit.
  await sleep(BOUNDS.settleMs);
  world.mode = 'over';
  for (const pair of pairs) pair.end();
  await Promise.all(lives);
  // Connections that were being opened meanwhile.
  for (const pair of pairs) pair.end();
  clearInterval(watch);
  const { busy, longestMs } = endWatch();
  for (const node of nodes) {
    const how = await node.stop();
    if (how !== '0') history.add({ kind: 'died', node: node.number, how: `${how} at the end` });
  }
  if (CHAOS_HISTORY !== '') keep(history, CHAOS_HISTORY);
  const verdict = check(history.events, BOUNDS);
  for (const line of summary(history.events, verdict, nodes)) report(line);
  const share = `${Math.round(100 * busy)} % busy`;
  report(`this process: ${share}, its longest turn ${Math.round(longestMs)} ms`);
  for (const violation of verdict.violations.slice(0, SHOWN)) {
    report(`VIOLATION ${explain(history.events, violation)}`);
  }
  for (const { rule, what, t } of verdict.violations) {
    report(`seed ${CHAOS_SEED}: ${rule} at ${(t / 1000).toFixed(3)} s: ${what}`);
  }
  if (failure) throw failure.error;
  return verdict;
}

function keep({ events }: History, path: string): void {
  const file = openSync(path, 'w');
  for (const event of events) writeSync(file, `${JSON.stringify(event)}\n`);
  closeSync(file);
}

/** Plays rounds of faults until the time is up. */
async function playRounds(arena: Arena, world: World): Promise<void> {
  const { nodes, engine, seconds, pairs } = arena;
  const end = performance.now() + seconds * 1000;
  const terrain = {
    nodes: nodes.length,
    leaseMs: LEASE_SECONDS * 1000,
    redis: engine !== undefined,
  };
  let n = 0;
  // Everyone pairs and meets before the first fault.
  await sleep(5000);
  await recovery(world, pairs);
  for (const { calmMs, strikes } of schedule(CHAOS_SEED, terrain)) {
    report(`round ${++n}: ${strikes.map(describeStrike).join(', ')}`);
    await sleep(calmMs);
    await Promise.all(
      strikes.map(async (fault) => {
        await sleep(fault.atMs);
        await strike(fault, { world, nodes, engine });
      }),
    );
    const tookMs = await recovery(world, pairs);
    report(`round ${n}: all ${pairs} pairs served again after ${Math.round(tookMs)} ms`);
    if (performance.now() > end && (n >= ROUNDS_OF_ALL || engine === undefined)) return;
  }
}

/** All devices request their seats: resolves when every pair has talked both ways, or long after the bound. */
async function recovery(world: World, pairs: number): Promise<number> {
  const { history } = world;
  history.add({ kind: 'recovery', pairs });
  const first = history.events.length;
  const began = performance.now();
  const round = new Recovery(began, (conn) => history.whoIs(conn));
  world.served = round.served;
  world.mode = 'recovery';
  let tookMs = 0;
  for (let seen = first; round.served.size < pairs && tookMs < BOUNDS.usableMs + GRACE_MS; ) {
    await sleep(50);
    for (; seen < history.events.length; seen++) round.take(history.events[seen] as never);
    const now = performance.now();
    const stalls = new Spans(history.events.slice(first), 'stall');
    tookMs = now - began - stalls.msWithin(began, now);
  }
  world.mode = 'load';
  return tookMs;
}
