// Runs several nodes of one cluster in this process, over shared parts in memory, with clocks and faults that the test sets.
import { FakeClock } from '@couplet/testkit/fake-clock';
import { Unavailable } from '../../src/base/failures.js';
import {
  type ClusterBackplane,
  createClusterBackplane,
} from '../../src/signaling/cluster/backplane.js';
import type { LeaseRegistry } from '../../src/signaling/cluster/node-lease.js';
import {
  absentRecord,
  decodeRecord,
  encodeRecord,
  type RoomRecord,
  type RoomRecordStore,
  type SetOutcome,
} from '../../src/signaling/cluster/room-record.js';
import type { BackplaneUnderTest, RecordingConnections } from '../contract/backplane.js';
import { captureLog } from './captured-log.js';

export const LEASE_MS = 10_000;

export type Call = 'read' | 'set' | 'claim' | 'renew' | 'release' | 'publish';

/** The fate of a call: a `lost` call was carried out, but its answer never came. */
export type Fate = 'fine' | 'refused' | 'lost';

export const oneTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A node with its own clock and its own way to the shared parts. */
export class FakeNode {
  readonly clock: FakeClock;
  readonly store: RoomRecordStore;
  readonly backplane: ClusterBackplane;
  /** Called before every call is carried out; by default all calls succeed. */
  fate: (call: Call) => Fate = () => 'fine';
  /** Takes what is sent to this node; undefined if it does not listen. */
  receive: ((text: string) => void) | undefined;
  /** Resolves before a call is carried out, and before it is answered. */
  delay: () => Promise<void> = oneTurn;
  /** Number of calls in progress. */
  calling = 0;
  readonly #nodes: FakeNodes;
  #resume: (() => void) | undefined;

  constructor(nodes: FakeNodes, processId: string) {
    this.#nodes = nodes;
    // Versions derive from the time, which moves in steps here: two nodes must not write the same one after a loss.
    this.clock = new FakeClock(nodes.clock.now() + 100 * nodes.nodes.length);
    this.store = {
      read: (roomId) => this.#call('read', () => nodes.record(roomId)),
      compareAndSet: (expected, next, deadline, isNew) =>
        this.#call('set', () => nodes.set(expected, next, deadline, isNew)),
      list: () => this.#call('read', () => [...nodes.records.values()].map(decodeRecord)),
    };
    const leases: LeaseRegistry = {
      hold: (id, ttlMs, isNew) =>
        this.#call(isNew ? 'claim' : 'renew', () => nodes.hold(id, ttlMs, isNew)),
      release: (id) => this.#call('release', () => void nodes.leases.delete(id)),
    };
    const publisher = {
      publish: (to: string, text: string) => this.#call('publish', () => nodes.publish(to, text)),
    };
    const { connections, log } = nodes;
    this.backplane = createClusterBackplane(connections, {
      ...{ processId, clock: this.clock, log: log.log, leaseMs: LEASE_MS },
      ...{ store: this.store, leases, publisher },
    });
    this.hear();
  }

  get isPaused(): boolean {
    return this.#resume !== undefined;
  }

  /** Listens again, after a test has set {@link receive}. */
  hear(): void {
    this.receive = (text) => this.backplane.receive(text);
  }

  /** Cuts it off from the other nodes and from Redis. */
  cut(): void {
    this.fate = () => 'refused';
    this.receive = undefined;
  }

  mend(): void {
    this.fate = () => 'fine';
    this.hear();
    this.backplane.resubscribed();
  }

  /** Pauses it as SIGSTOP does: its clocks go on, its timers do not fire, and its calls and what it receives wait. */
  pause(): void {
    if (this.isPaused) return;
    const { receive, delay } = this;
    const waiting: string[] = [];
    const resumed = new Promise<void>((resolve) => {
      this.#resume = () => {
        Object.assign(this, { receive, delay });
        resolve();
      };
    });
    this.receive = (text) => waiting.push(text);
    this.delay = () => delay().then(() => resumed);
    void resumed.then(oneTurn).then(() => {
      for (const text of waiting) receive?.(text);
    });
  }

  /** What it has received meanwhile arrives in the next turn. */
  resume(): void {
    this.#resume?.();
    this.#resume = undefined;
  }

  async #call<T>(name: Call, effect: () => T): Promise<T> {
    const fate = this.fate(name);
    this.#nodes.calls += 1;
    if (fate === 'refused') throw new Unavailable(new Error('cannot be reached'));
    this.calling += 1;
    try {
      await this.delay();
      const result = effect();
      await this.delay();
      if (fate === 'lost') throw new Unavailable(new Error('no answer'));
      return result;
    } finally {
      this.calling -= 1;
    }
  }
}

export class FakeNodes implements BackplaneUnderTest {
  /** The clock of the shared parts. */
  readonly clock = new FakeClock();
  records = new Map<string, string>();
  readonly leases = new Map<string, number>();
  /** No new room is created. */
  isFull = false;
  /** Number of calls so far. */
  calls = 0;
  /** Number of publications, also to nodes that do not listen. */
  published = 0;
  /** Publications in transit. */
  #travelling = 0;
  readonly connections: RecordingConnections;
  readonly nodes: FakeNode[] = [];
  /** The warnings of all nodes. */
  readonly log = captureLog();

  constructor(connections: RecordingConnections, count: number) {
    this.connections = connections;
    for (let n = 0; n < count; n++) this.start(`n${n}`);
  }

  start(processId: string): FakeNode {
    const node = new FakeNode(this, processId);
    this.nodes.push(node);
    return node;
  }

  /** Connections a, c, e … of two nodes are on the first, and b, d, f … on the second. */
  nodeOf(connectionId: string): FakeNode {
    const last = connectionId.charCodeAt(connectionId.length - 1) - 'a'.charCodeAt(0);
    return this.nodes.at(last % this.nodes.length) as FakeNode;
  }

  backplaneOf(connectionId: string): ClusterBackplane {
    return this.nodeOf(connectionId).backplane;
  }

  /** Resolves when no running node is busy and no message is in transit. */
  async settle(): Promise<void> {
    for (let calm = 0; calm < 5; ) {
      await oneTurn();
      const isBusy = this.nodes.some(({ isPaused, calling }) => !isPaused && calling > 0);
      calm = isBusy || this.#travelling > 0 ? 0 : calm + 1;
    }
  }

  /** Moves time on in steps, and by default runs everything that is due in each. */
  async pass(ms: number, settled = () => this.settle()): Promise<void> {
    for (let left = ms; left > 0; left -= 500) {
      const step = Math.min(500, left);
      this.clock.advance(step);
      for (const { isPaused, clock } of this.nodes) {
        if (isPaused) clock.pause(step);
        else clock.advance(step);
      }
      await settled();
    }
  }

  async close(): Promise<void> {
    for (const node of this.nodes) {
      node.resume();
      await node.backplane.close();
    }
  }

  record(roomId: string): RoomRecord {
    const text = this.records.get(roomId);
    return text === undefined ? absentRecord(roomId) : decodeRecord(text);
  }

  set(expected: number, next: RoomRecord, deadline: number, isNew: boolean): SetOutcome {
    if (this.clock.now() > deadline) return { kind: 'late' };
    const record = this.record(next.roomId);
    if (record.version !== expected) return { kind: 'conflict', record };
    if (this.isFull && isNew) return { kind: 'full', cause: new Unavailable(new Error('full')) };
    this.records.set(next.roomId, encodeRecord(next));
    return { kind: 'set' };
  }

  hold(id: string, ttlMs: number, isNew: boolean) {
    const now = this.clock.now();
    for (const [held, end] of this.leases) if (end <= now) this.leases.delete(held);
    const isHeld = isNew || this.leases.has(id);
    if (isHeld) this.leases.set(id, now + ttlMs);
    return { alive: [...this.leases.keys()], deadline: isHeld ? now + ttlMs : 0 };
  }

  publish(processId: string, text: string): boolean {
    this.published += 1;
    const isTo = ({ backplane }: FakeNode) => backplane.lease.processId === processId;
    const node = this.nodes.findLast(isTo);
    if (node?.receive === undefined) return false;
    this.#travelling += 1;
    void oneTurn().then(() => {
      this.#travelling -= 1;
      node.receive?.(text);
    });
    return true;
  }
}
