// Causes a fault, and records its beginning and its end.
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '@couplet/testkit/eventually';
import { crowd } from './crowd.js';
import { ENGINE_FAULTS, type EngineFault, type History } from './history.js';
import { type Engine, SETTLED_MS } from './redis.js';
import type { Strike } from './schedule.js';
import type { ServerNode } from './server-node.js';
import type { World } from './world.js';

export interface Struck {
  world: World;
  nodes: readonly ServerNode[];
  engine: Engine | undefined;
}

let faults = 0;
/** Faults of Redis run one after the other, and each restores it. */
let engineIsFree: Promise<unknown> = Promise.resolve();

/** Resolves when the fault is over. */
export async function strike(fault: Strike, struck: Struck): Promise<void> {
  const isOfEngine = ENGINE_FAULTS.some((what) => what === fault.what);
  // A burst needs a working Redis, because a burst that is refused as a whole shows less.
  if (!isOfEngine && fault.what !== 'burst') return strikeNow(fault, struck);
  const turn = engineIsFree.then(() => strikeNow(fault, struck));
  engineIsFree = turn.catch(() => {});
  return turn;
}

async function strikeNow(fault: Strike, { world, nodes, engine }: Struck): Promise<void> {
  const { history } = world;
  const id = ++faults;
  const node = 'node' in fault ? fault.node : null;
  const mark = (phase: 'begin' | 'end') =>
    history.add({ kind: 'fault', id, what: fault.what, node, phase });
  const server = nodes[node ?? 0] as ServerNode;
  mark('begin');
  switch (fault.what) {
    case 'kill':
    case 'stop':
      await (fault.what === 'kill' ? server.kill() : server.stop());
      await sleep(fault.forMs);
      await server.start();
      break;
    case 'pause':
      server.pause();
      await sleep(fault.forMs);
      server.resume();
      break;
    case 'cut':
      await engine?.cut(fault.node, fault.how);
      await sleep(fault.forMs);
      await engine?.mend(fault.node);
      break;
    case 'redis-restart':
      await engine?.restart(fault.forMs);
      break;
    case 'failover':
      await engine?.failover(fault.forMs);
      break;
    case 'burst':
      await crowd(world, server);
      break;
    default:
      if (engine) await hurt(fault, engine);
  }
  mark('end');
}

/** Faults of all masters at once. */
async function hurt(
  fault: Extract<Strike, { what: Exclude<EngineFault, 'redis-restart' | 'failover'> }>,
  engine: Engine,
): Promise<void> {
  const masters = await engine.masters();
  // An administrative connection has timeouts, which a busy machine may exceed.
  const all = (...command: string[]) =>
    Promise.all(masters.map((master) => eventually(() => master.admin(...command), SETTLED_MS)));
  switch (fault.what) {
    case 'redis-pause':
      for (const master of masters) master.pause();
      await sleep(fault.forMs);
      for (const master of masters) master.resume();
      break;
    case 'redis-slow':
      for (const end = performance.now() + fault.forMs; performance.now() < end; ) {
        for (const master of masters) master.pause();
        await sleep(SLOW_WRITE_MS);
        for (const master of masters) master.resume();
        await sleep(BETWEEN_WRITES_MS);
      }
      break;
    case 'redis-full':
      await all('CONFIG', 'SET', 'maxmemory', '1');
      await sleep(fault.forMs);
      await all('CONFIG', 'SET', 'maxmemory', '0');
      break;
    case 'redis-flush':
      await all('FLUSHALL');
      break;
    case 'redis-hang-up':
      for (const end = performance.now() + fault.forMs; ; await sleep(500)) {
        await all('CLIENT', 'KILL', 'TYPE', fault.who);
        if (performance.now() >= end) break;
      }
      break;
  }
  await engine.settled();
}

/** Simulates a slow disk. Shorter than the timeout of a node, so Redis is slow and not unreachable. */
const SLOW_WRITE_MS = 600;
const BETWEEN_WRITES_MS = 30;

/**
 * A longer turn of the event loop of this process is recorded as a fault: the clients read late. No other delay is excused,
 * because a delay of Redis or of a server may have its cause there. The bounds have room for shorter turns.
 */
const STALL_MS = 1000;
const TICK_MS = 100;

/** Watches the event loop of this process. Returns a function that ends the watch, and returns how busy it was. */
export function watchForStalls(history: History): () => { busy: number; longestMs: number } {
  const before = performance.eventLoopUtilization();
  let last = performance.now();
  let longestMs = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    longestMs = Math.max(longestMs, now - last - TICK_MS);
    if (now - last > STALL_MS) {
      const stall = { kind: 'fault', what: 'stall', node: null, id: ++faults } as const;
      history.add({ ...stall, phase: 'begin' }, last);
      history.add({ ...stall, phase: 'end' }, now);
    }
    last = now;
  }, TICK_MS);
  return () => {
    clearInterval(timer);
    return { busy: performance.eventLoopUtilization(before).utilization, longestMs };
  };
}
