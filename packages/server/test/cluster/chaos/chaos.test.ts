// Nodes and pairs under all kinds of faults: the invariants hold, and all pairs are served ten seconds after the last fault.
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeWith } from '@couplet/testkit/components';
import { expect, onTestFinished, test } from 'vitest';
import { check, explain } from './checker/check.js';
import { schedule, strike, watchForStalls } from './faults.js';
import { NODE_FAULTS, Recovery } from './history.js';
import { Pair } from './pair.js';
import { type Engine, startEngine } from './redis.js';
import {
  BOUNDS,
  CHAOS_HISTORY,
  CHAOS_PAIRS,
  CHAOS_REDIS,
  CHAOS_SECONDS,
  CHAOS_SEED,
} from './settings.js';
import { World } from './world.js';

/** A recovery is awaited a little longer than its bound, so that the report can show its duration. */
const GRACE_MS = 2000;
/** The number of violations that are shown with their events. */
const SHOWN = 5;

const report = (line: string) => void process.stdout.write(`chaos: ${line}\n`);

/** The end of the run and the checker take a tenth of the time, and ten minutes on a busy machine. */
const LONG = { timeout: CHAOS_SECONDS * 1100 + 600_000 };

describeWith(['redis-server'], 'a cluster under faults', () => {
  test('keeps every invariant', LONG, async () => {
    report(`three nodes, ${CHAOS_REDIS}`);
    const engine = await startEngine(CHAOS_REDIS, 3);
    onTestFinished(() => engine.stop());
    const world = new World(engine.urls);
    onTestFinished(async () => {
      for (const node of world.nodes) await node.end('SIGKILL');
    });
    await Promise.all(world.nodes.map((node) => node.start()));
    report(`seed ${CHAOS_SEED}, ${CHAOS_SECONDS} s; CHAOS_SEED, CHAOS_SECONDS set others`);
    const pairs = Array.from({ length: CHAOS_PAIRS }, (_, number) => new Pair(world, number));
    const watch = watchForStalls(world, (now) => {
      for (const pair of pairs) pair.watch(now);
    });
    const lives = pairs.map((pair) => pair.live());
    // If a server or Redis does not come back, the history until then is still checked and shown.
    const [rounds] = await Promise.allSettled([playRounds(world, engine, watch)]);
    // The last events are judged too, so nothing may still be in transit.
    await sleep(BOUNDS.settleMs);
    world.mode = 'over';
    for (const pair of pairs) pair.end();
    await Promise.all(lives);
    // Connections that were being opened meanwhile.
    for (const pair of pairs) pair.end();
    watch.end();
    for (const node of world.nodes) await node.end('SIGTERM');
    const { events } = world;
    if (CHAOS_HISTORY !== '') {
      writeFileSync(CHAOS_HISTORY, events.map((event) => `${JSON.stringify(event)}\n`).join(''));
    }
    const { violations, recoveriesMs, frames } = check(events, BOUNDS);
    report(`events: ${countsOf(events.map(({ kind }) => kind))}`);
    const begun = events.filter((event) => event.kind === 'fault' && event.phase === 'begin');
    report(`faults: ${countsOf(begun.map((event) => ('what' in event ? event.what : '')))}`);
    report(`longest recovery ${Math.round(Math.max(...recoveriesMs.slice(1)))} ms`);
    report(`${frames} judged frames, ${violations.length} violations`);
    report(`this process stood still for ${Math.round(watch.stalledMs)} ms`);
    for (const violation of violations.slice(0, SHOWN)) {
      report(`VIOLATION ${explain(events, violation)}`);
    }
    if (rounds.status === 'rejected') throw rounds.reason;
    expect(violations.map(({ rule, what }) => `seed ${CHAOS_SEED}, ${rule}: ${what}`)).toEqual([]);
    expect(frames).toBeGreaterThan(0);
  });
});

/** Plays rounds of faults until the time is up, and each kind of fault of a node has occurred. */
async function playRounds(world: World, engine: Engine, watch: { stalledMs: number }) {
  const end = performance.now() + CHAOS_SECONDS * 1000;
  const missing = new Set<string>(NODE_FAULTS);
  let n = 0;
  // Everyone pairs and meets before the first fault.
  await sleep(5000);
  await recovery(world, watch);
  for (const { calmMs, strikes } of schedule(world.nodes.length)) {
    report(`round ${++n}: ${JSON.stringify(strikes)}`);
    await sleep(calmMs);
    await Promise.all(strikes.map((fault) => strike(fault, world, engine)));
    const tookMs = await recovery(world, watch);
    report(`round ${n}: all ${CHAOS_PAIRS} pairs served again after ${Math.round(tookMs)} ms`);
    for (const { what } of strikes) missing.delete(what);
    if (performance.now() > end && missing.size === 0) return;
  }
}

/** All devices request their seats: resolves when every pair has talked both ways, or long after the bound. */
async function recovery(world: World, watch: { stalledMs: number }): Promise<number> {
  const began = performance.now();
  const stalled = watch.stalledMs;
  world.record({ kind: 'recovery', pairs: CHAOS_PAIRS }, began);
  world.recovery = new Recovery(began);
  world.mode = 'recovery';
  let tookMs = 0;
  while (world.recovery.served.size < CHAOS_PAIRS && tookMs < BOUNDS.usableMs + GRACE_MS) {
    await sleep(50);
    tookMs = performance.now() - began - (watch.stalledMs - stalled);
  }
  world.mode = 'load';
  return tookMs;
}

/** How often each word occurs. */
const countsOf = (words: readonly string[]) =>
  [...new Set(words)]
    .sort()
    .map((word) => `${word} ${words.filter((other) => other === word).length}`)
    .join(', ');
