// Nodes and pairs under all kinds of faults: the invariants hold, and all pairs are served ten seconds after the last fault.
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeWith } from '@couplet/testkit/components';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { check, explain, type Verdict } from './checker/check.js';
import {
  type Arena,
  describeStrike,
  ROUNDS_OF_ALL,
  schedule,
  strike,
  watchForStalls,
} from './faults.js';
import { type Event, Recovery } from './history.js';
import { Pair } from './pair.js';
import { type Engine, REPLICAS_ACK, startEngine } from './redis.js';
import { ServerNode } from './server-node.js';
import {
  BOUNDS,
  CHAOS_HISTORY,
  CHAOS_PAIRS,
  CHAOS_REDIS,
  CHAOS_SECONDS,
  CHAOS_SEED,
  LEASE_SECONDS,
} from './settings.js';
import { World } from './world.js';

/** A recovery is awaited a little longer than its bound, so that the report can show its duration. */
const GRACE_MS = 2000;
/** The number of violations that are shown with their events. */
const SHOWN = 5;

const report = (line: string) => void process.stdout.write(`chaos: ${line}\n`);

/** The end of the run and the checker take a tenth of the time, and ten minutes on a busy machine. */
const timeoutFor = (seconds: number) => ({ timeout: seconds * 1100 + 600_000 });

describeWith(['redis-server'], 'a cluster under faults', () => {
  test('keeps every invariant', timeoutFor(CHAOS_SECONDS), async () => {
    report(`three nodes, ${CHAOS_REDIS}`);
    const engine = await startEngine(CHAOS_REDIS, 3);
    onTestFinished(() => engine.stop());
    const shared = {
      REDIS_REPLICAS_ACK: String(REPLICAS_ACK),
      LEASE_SECONDS: String(LEASE_SECONDS),
    };
    const envs = engine.urls.map((url) => ({ REDIS_URL: url, ...shared }));
    await endure(envs, engine, CHAOS_SECONDS, CHAOS_PAIRS);
  });
});

const folder = temporaryFolder();

test('one server with SQLite keeps every invariant', timeoutFor(CHAOS_SECONDS), async () => {
  report('one server with SQLite');
  const env = { USE_SQLITE: '1', SQLITE_DB_PATH: join(folder, 'chat.db') };
  // It has fewer kinds of faults than a cluster.
  await endure([env], undefined, CHAOS_SECONDS / 4, Math.ceil(CHAOS_PAIRS / 4));
});

/** Starts a node for each environment, lets pairs live on them under faults, and expects no violation. */
async function endure(
  envs: readonly Record<string, string>[],
  engine: Engine | undefined,
  seconds: number,
  count: number,
): Promise<void> {
  const nodes = envs.map((env, number) => new ServerNode(number, env));
  for (const node of nodes) onTestFinished(() => void node.kill());
  await Promise.all(nodes.map((node) => node.start()));
  report(`seed ${CHAOS_SEED}, ${seconds} s, ${count} pairs; CHAOS_SEED, CHAOS_SECONDS set others`);
  const world = new World(nodes);
  for (const node of nodes) node.world = world;
  const pairs = Array.from({ length: count }, (_, number) => new Pair(world, number));
  const watch = watchForStalls(world, (now) => {
    for (const { creator, acceptor } of pairs)
      for (const one of [creator, acceptor]) one.watch(now);
  });
  const lives = pairs.map((pair) => pair.live());
  // If a server or Redis does not come back, the history until then is still checked and shown.
  const [rounds] = await Promise.allSettled([
    playRounds({ world, nodes, engine, report }, seconds, count, watch),
  ]);
  // The last events are judged too, so nothing may still be in transit.
  await sleep(BOUNDS.settleMs);
  world.mode = 'over';
  for (const pair of pairs) pair.end();
  await Promise.all(lives);
  // Connections that were being opened meanwhile.
  for (const pair of pairs) pair.end();
  watch.end();
  for (const node of nodes) {
    const how = await node.stop();
    if (how !== '0') world.record({ kind: 'died', node: node.number, how: `${how} at the end` });
  }
  if (CHAOS_HISTORY !== '') keep(world.events, CHAOS_HISTORY);
  const verdict = check(world.events, BOUNDS);
  summarize(world.events, verdict, nodes);
  report(`this process stood still for ${Math.round(watch.stalledMs)} ms`);
  report(`its longest turn took ${Math.round(watch.longestMs)} ms`);
  const { violations } = verdict;
  for (const violation of violations.slice(0, SHOWN)) {
    report(`VIOLATION ${explain(world.events, violation)}`);
  }
  if (rounds.status === 'rejected') throw rounds.reason;
  expect(violations.map(({ rule, what }) => `seed ${CHAOS_SEED}, ${rule}: ${what}`)).toEqual([]);
}

/** Plays rounds of faults until the time is up. */
async function playRounds(
  arena: Arena,
  seconds: number,
  pairs: number,
  watch: { stalledMs: number },
): Promise<void> {
  const { world, nodes, engine } = arena;
  const end = performance.now() + seconds * 1000;
  let n = 0;
  // Everyone pairs and meets before the first fault.
  await sleep(5000);
  await recovery(world, pairs, watch);
  for (const { calmMs, strikes } of schedule(CHAOS_SEED, nodes.length, engine !== undefined)) {
    report(`round ${++n}: ${strikes.map(describeStrike).join(', ')}`);
    await sleep(calmMs);
    await Promise.all(
      strikes.map(async (fault) => {
        await sleep(fault.atMs);
        await strike(fault, arena);
      }),
    );
    const tookMs = await recovery(world, pairs, watch);
    report(`round ${n}: all ${pairs} pairs served again after ${Math.round(tookMs)} ms`);
    if (performance.now() > end && (n >= ROUNDS_OF_ALL || engine === undefined)) return;
  }
}

/** All devices request their seats: resolves when every pair has talked both ways, or long after the bound. */
async function recovery(
  world: World,
  pairs: number,
  watch: { stalledMs: number },
): Promise<number> {
  const began = performance.now();
  const stalled = watch.stalledMs;
  const opened = world.events.filter((event) => event.kind === 'connected');
  const conns = new Map(opened.map((event) => [event.id, event]));
  let seen = world.events.length;
  world.record({ kind: 'recovery', pairs });
  const round = new Recovery(began, (id) => conns.get(id));
  world.served = round.served;
  world.mode = 'recovery';
  let tookMs = 0;
  while (round.served.size < pairs && tookMs < BOUNDS.usableMs + GRACE_MS) {
    await sleep(50);
    for (const event of world.events.slice(seen)) {
      if (event.kind === 'connected') conns.set(event.id, event);
      round.take(event);
      seen += 1;
    }
    tookMs = performance.now() - began - (watch.stalledMs - stalled);
  }
  world.mode = 'load';
  return tookMs;
}

function keep(events: readonly Event[], path: string): void {
  const file = openSync(path, 'w');
  for (const event of events) writeSync(file, `${JSON.stringify(event)}\n`);
  closeSync(file);
}

/** Reports how often each thing occurred. */
function summarize(
  events: readonly Event[],
  { violations, seen, recoveriesMs }: Verdict,
  nodes: readonly ServerNode[],
): void {
  const counts: Record<string, Record<string, number>> = {};
  const requests = new Map<number, string>();
  const add = (row: string, what: string | number, times = 1) => {
    counts[row] ??= {};
    counts[row][what] = (counts[row][what] ?? 0) + times;
  };
  for (const event of events) {
    add('events', event.kind);
    if (event.kind === 'asked') requests.set(event.id, event.what);
    if (event.kind === 'answered') add('answers', `${requests.get(event.id)} ${event.status}`);
    if (event.kind === 'closed') add('closed with', event.code);
    if (event.kind === 'told') add('told', event.notice.code ?? event.notice.type);
    if (event.kind === 'fault' && event.phase === 'begin') add('faults', event.what);
  }
  for (const { logged } of nodes) for (const words in logged) add('logged', words, logged[words]);
  const longest = Math.round(Math.max(...recoveriesMs.slice(1)));
  const more = {
    judged: seen,
    result: { longestRecoveryMs: longest, violations: violations.length },
  };
  for (const [row, all] of Object.entries({ ...counts, ...more })) {
    const shown = Object.entries(all).map(([what, times]) => `${what}: ${times}`);
    report(`${row.padEnd(12)} ${shown.sort().join(', ')}`);
  }
}
