// Carries a strike out, and notes when it began and when it was over.
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { History } from './history.js';
import type { Cut, Strike } from './schedule.js';
import type { ServerNode } from './server-node.js';

/** The Redis behind the servers, as far as it can be hurt. */
export interface Engine {
  cut(node: number, how: Cut): Promise<void>;
  mend(node: number): Promise<void>;
  /** Ends the master at once and starts it again after this time; resolves when it can be written to. */
  restart(downMs: number): Promise<void>;
  /** Ends the master at once; resolves when another one can be written to, and the old one follows it. */
  failover(downMs: number): Promise<void>;
  /** Calls `listener` when a process beside this one, or the engine, stood still until now, for so long: the machine or its disk is too busy. */
  onStall(listener: (ms: number) => void): void;
  stop(): Promise<void>;
}

export interface Struck {
  history: History;
  nodes: readonly ServerNode[];
  engine: Engine | undefined;
}

let faults = 0;

/** Resolves when the fault is over. */
export async function strike(fault: Strike, { history, nodes, engine }: Struck): Promise<void> {
  const id = ++faults;
  const node = 'node' in fault ? fault.node : null;
  const mark = (phase: 'begin' | 'end') =>
    history.add({ kind: 'fault', id, what: fault.what, node, phase });
  const server = nodes[node ?? 0] as ServerNode;
  mark('begin');
  switch (fault.what) {
    case 'kill':
      await server.kill();
      await sleep(fault.forMs);
      await server.start();
      break;
    case 'stop':
      await server.stop();
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
  }
  mark('end');
}

/**
 * A turn of this process that took longer is noted as a fault of its own: it read late, and the servers had no more of the
 * machine than it had. The bounds have room for shorter ones.
 */
const STALL_MS = 1000;
const TICK_MS = 100;

/** Watches this process, and the one of the engine. Returns what ends the watch, and says how busy this one was. */
export function watchForStalls(
  history: History,
  engine: Engine | undefined,
): () => { busy: number; longestMs: number } {
  const stalled = (from: number, to: number) => {
    const stall = { what: 'stall', node: null, id: ++faults } as const;
    history.addAt(from, { kind: 'fault', ...stall, phase: 'begin' });
    history.addAt(to, { kind: 'fault', ...stall, phase: 'end' });
  };
  engine?.onStall((ms) => stalled(performance.now() - ms, performance.now()));
  const before = performance.eventLoopUtilization();
  let last = performance.now();
  let longestMs = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    longestMs = Math.max(longestMs, now - last - TICK_MS);
    if (now - last > STALL_MS) stalled(last, now);
    last = now;
  }, TICK_MS);
  return () => {
    clearInterval(timer);
    return { busy: performance.eventLoopUtilization(before).utilization, longestMs };
  };
}
