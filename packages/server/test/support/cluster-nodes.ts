// Runs several nodes of one cluster in this process, over shared parts in memory and a clock that the test moves.

import { FakeClock } from '@couplet/testkit/fake-clock';
import {
  type ClusterBackplane,
  createClusterBackplane,
} from '../../src/signaling/cluster/backplane.js';
import type { BackplaneUnderTest } from '../contract/backplane.js';
import { RecordingConnections } from '../contract/backplane.js';
import { captureLog } from './captured-log.js';
import { FakeCluster, type Link } from './fake-cluster.js';

export const LEASE_MS = 10_000;

export interface ClusterNode {
  backplane: ClusterBackplane;
  link: Link;
  clock: FakeClock;
  processId: string;
}

/** Resolves when no node is busy and no message is in transit. */
export async function settle(cluster: FakeCluster, nodes: readonly ClusterNode[]): Promise<void> {
  let calm = 0;
  while (calm < 4) {
    await new Promise<void>((resolve) => setImmediate(resolve));
    const busy = cluster.travelling > 0 || nodes.some(({ link }) => link.calling > 0);
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
  readonly #paused = new Map<ClusterNode, () => void>();
  /** Connections that are on another node than their name indicates. */
  readonly homes = new Map<string, number>();

  constructor(connections: RecordingConnections, count: number) {
    this.connections = connections;
    for (let n = 0; n < count; n++) this.start(`n${n}`);
  }

  /** Starts a node with its own clock, so that it can be paused. */
  start(processId: string): ClusterNode {
    const clock = new FakeClock(this.clock.now());
    const link = this.cluster.link(processId);
    const backplane = createClusterBackplane(this.connections, {
      ...link,
      processId,
      clock,
      log: this.log.log,
      leaseMs: LEASE_MS,
    });
    link.receive = (text) => backplane.receive(text);
    const node = { backplane, link, clock, processId };
    this.nodes.push(node);
    return node;
  }

  node(index: number): ClusterNode {
    return this.nodes[index] as ClusterNode;
  }

  homeOf(connectionId: string): ClusterNode {
    const index = this.homes.get(connectionId) ?? connectionId.charCodeAt(connectionId.length - 1);
    return this.node(index % this.nodes.length);
  }

  backplaneOf(connectionId: string): ClusterBackplane {
    return this.homeOf(connectionId).backplane;
  }

  settle(): Promise<void> {
    const awake = this.nodes.filter((node) => !this.#paused.has(node));
    return settle(this.cluster, awake);
  }

  /** Pauses a node as SIGSTOP does: its clocks go on, its timers do not fire, and its incoming calls wait. */
  pause(node: ClusterNode): void {
    const waiting: string[] = [];
    const { receive } = node.link;
    node.link.receive = (text) => waiting.push(text);
    this.#paused.set(node, () => {
      node.link.receive = receive;
      setImmediate(() => {
        for (const text of waiting) receive?.(text);
      });
    });
  }

  /** The waiting calls arrive in the next turn. */
  resume(node: ClusterNode): void {
    this.#paused.get(node)?.();
    this.#paused.delete(node);
  }

  /** Moves time on in steps, and runs everything that is due. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 500) {
      const step = Math.min(500, left);
      this.clock.advance(step);
      for (const node of this.nodes) {
        if (this.#paused.has(node)) node.clock.pause(step);
        else node.clock.advance(step);
      }
      await this.settle();
    }
  }

  async close(): Promise<void> {
    for (const { backplane } of this.nodes) await backplane.close();
  }
}

export { RecordingConnections };
