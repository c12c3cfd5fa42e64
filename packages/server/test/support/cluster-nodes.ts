// Runs several nodes of one cluster in this process, over shared parts in memory and a clock that the test moves.
import { FakeClock } from '@couplet/testkit/fake-clock';
import type { Logger } from '../../src/observability/logger.js';
import type { LocalConnections } from '../../src/signaling/backplane.js';
import {
  type ClusterBackplane,
  createClusterBackplane,
} from '../../src/signaling/cluster/backplane.js';
import type { BackplaneUnderTest } from '../contract/backplane.js';
import { RecordingConnections } from '../contract/backplane.js';
import { captureLog } from './captured-log.js';
import { FakeCluster, type Fate, type Link, oneTurn } from './fake-cluster.js';

export const LEASE_MS = 10_000;

/** A node with its own clock and its faults. */
export class ClusterNode {
  readonly clock: FakeClock;
  readonly link: Link;
  readonly backplane: ClusterBackplane;
  readonly processId: string;
  alive = true;
  /** Incoming updates and frames are lost. */
  deaf = false;
  /** The same, and all its calls fail. */
  cut = false;
  /** Turns by which each of its calls is delayed, so that others overtake it. */
  lag = 0;
  /** The fates of its next calls; the last is the next. */
  fates: Fate[] = [];
  #resume: (() => void) | undefined;

  constructor(
    cluster: FakeCluster,
    processId: string,
    now: number,
    connections: LocalConnections,
    log: Logger,
  ) {
    this.processId = processId;
    this.clock = new FakeClock(now);
    this.link = cluster.link(processId);
    const deps = { processId, clock: this.clock, log, leaseMs: LEASE_MS };
    this.backplane = createClusterBackplane(connections, { ...this.link, ...deps });
    this.link.receive = (text) => {
      if (this.alive && !this.deaf && !this.cut) this.backplane.receive(text);
    };
    this.link.fate = () => (this.cut || !this.alive ? 'refused' : (this.fates.pop() ?? 'fine'));
    this.link.delay = async () => {
      for (let turn = 0; turn <= this.lag; turn++) await oneTurn();
    };
  }

  get paused(): boolean {
    return this.#resume !== undefined;
  }

  /** Pauses it as SIGSTOP does: its clocks go on, its timers do not fire, and its calls and what it receives wait. */
  pause(): void {
    if (this.paused) return;
    const { receive, delay } = this.link;
    const waiting: string[] = [];
    const resumed = new Promise<void>((resolve) => {
      this.#resume = resolve;
    });
    this.link.receive = (text) => waiting.push(text);
    this.link.delay = () => delay().then(() => resumed);
    void resumed.then(oneTurn).then(() => {
      for (const text of waiting) receive?.(text);
    });
    const restore = this.#resume;
    this.#resume = () => {
      Object.assign(this.link, { receive, delay });
      restore?.();
    };
  }

  /** What it has received meanwhile arrives in the next turn. */
  resume(): void {
    this.#resume?.();
    this.#resume = undefined;
  }

  kill(): void {
    this.alive = false;
    this.resume();
  }

  /** Moves its clocks. */
  pass(ms: number): void {
    if (this.paused) this.clock.pause(ms);
    else if (this.alive) this.clock.advance(ms);
  }
}

/** Resolves when no running node is busy and no message is in transit. */
export async function settle(cluster: FakeCluster, nodes: readonly ClusterNode[]): Promise<void> {
  for (let calm = 0; calm < 5; ) {
    await oneTurn();
    const running = nodes.filter(({ alive, paused }) => alive && !paused);
    const busy = cluster.travelling > 0 || running.some(({ link }) => link.calling > 0);
    calm = busy ? 0 : calm + 1;
  }
}

export class FakeNodes implements BackplaneUnderTest {
  readonly clock = new FakeClock();
  readonly cluster = new FakeCluster(this.clock);
  readonly connections: RecordingConnections;
  readonly nodes: ClusterNode[] = [];
  /** The warnings of all nodes. */
  readonly log = captureLog();
  /** Connections that are on another node than their name indicates. */
  readonly homes = new Map<string, number>();

  constructor(connections: RecordingConnections, count: number) {
    this.connections = connections;
    for (let n = 0; n < count; n++) this.start(`n${n}`);
  }

  start(processId: string): ClusterNode {
    const { cluster, clock, connections, log } = this;
    const node = new ClusterNode(cluster, processId, clock.now(), connections, log.log);
    this.nodes.push(node);
    return node;
  }

  backplaneOf(connectionId: string): ClusterBackplane {
    const index = this.homes.get(connectionId) ?? connectionId.charCodeAt(connectionId.length - 1);
    return (this.nodes[index % this.nodes.length] as ClusterNode).backplane;
  }

  settle(): Promise<void> {
    return settle(this.cluster, this.nodes);
  }

  pause(node: ClusterNode): void {
    node.pause();
  }

  resume(node: ClusterNode): void {
    node.resume();
  }

  /** Moves time on in steps, and runs everything that is due. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 500) {
      const step = Math.min(500, left);
      this.clock.advance(step);
      for (const node of this.nodes) node.pass(step);
      await this.settle();
    }
  }

  async close(): Promise<void> {
    for (const node of this.nodes) {
      node.resume();
      await node.backplane.close();
    }
  }
}

export { RecordingConnections };
