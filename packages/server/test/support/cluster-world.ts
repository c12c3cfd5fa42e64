// Simulates the nodes of a cluster in memory with every possible fault, and clients that record what they receive.

import { FakeClock } from '@couplet/testkit/fake-clock';
import { type Logger, pino } from 'pino';
import type { LocalConnections } from '../../src/signaling/backplane.js';
import {
  type ClusterBackplane,
  createClusterBackplane,
} from '../../src/signaling/cluster/backplane.js';
import { decodeRecord, type RoomRecord } from '../../src/signaling/cluster/room-record.js';
import type { Effect, Seat } from '../../src/signaling/room.js';
import { LEASE_MS } from './cluster-nodes.js';
import { FakeCluster, type Fate, type Link } from './fake-cluster.js';

export const CLIENTS = 6;
export const ROOMS = ['r0', 'r1'];
export const DEVICES = [null, null, 'creator', 'acceptor'];
const PAIRED = { client1: 'creator', client2: 'acceptor' };

/** A join by its device, with the times of its request and answer in the order of all events. */
interface Stay {
  readonly roomId: string;
  readonly deviceId: string | null;
  readonly askedAt: number;
  joinedAt: number;
}

/** Counts all events of a world. */
interface Order {
  count: number;
}

/** One WebSocket, from the messages that it received. */
export class FakeConnection {
  readonly id: string;
  readonly node: FakeNode;
  seat: Seat | null = null;
  open = true;
  busy = false;
  /** Its view of the peer, from messages alone: the role that it was given, or none. */
  role: 'initiator' | 'responder' | null = null;
  /** Its last join that was answered with `room_joined`. */
  stay: Stay | undefined;
  asked: Stay | undefined;
  readonly frames: string[] = [];
  /** The messages it has sent since it last received anything about its room. */
  said: string[] = [];
  count = 0;
  /** All messages it received, for the report of a failure. */
  readonly log: string[] = [];

  readonly #order: Order;

  constructor(id: string, node: FakeNode, order: Order) {
    this.id = id;
    this.node = node;
    this.#order = order;
  }

  take(effect: Effect): void {
    if (effect.kind === 'seat') {
      this.seat = effect.seat;
      if (effect.seat === null) this.role = null;
      return;
    }
    if (effect.kind === 'close') {
      this.log.push(`close ${effect.reason}`);
      this.open = false;
      return;
    }
    const { message } = effect;
    this.said = [];
    this.log.push(
      'isInitiator' in message ? `${message.type} ${message.isInitiator}` : message.type,
    );
    if (message.type === 'room_joined' && this.asked) {
      this.stay = this.asked;
      this.stay.joinedAt = ++this.#order.count;
    }
    if (message.type === 'room_ready') this.role = message.isInitiator ? 'initiator' : 'responder';
    else if (message.type !== 'room_full') this.role = null;
  }
}

export class FakeNode implements LocalConnections {
  readonly clock: FakeClock;
  readonly link: Link;
  readonly backplane: ClusterBackplane;
  readonly connections = new Map<string, FakeConnection>();
  alive = true;
  #resume: (() => void) | undefined;
  #paused: Promise<void> | undefined;
  #delayed: (() => void)[] = [];
  deaf = false;
  /** Turns by which each of its calls is delayed, so that others overtake it. */
  lag = 0;
  fates: Fate[] = [];
  cut = false;

  constructor(cluster: FakeCluster, processId: string, now: number) {
    this.clock = new FakeClock(now);
    this.link = cluster.link(processId);
    this.backplane = createClusterBackplane(this, {
      ...this.link,
      processId,
      clock: this.clock,
      log: pino({ level: 'silent' }) as Logger,
      leaseMs: LEASE_MS,
    });
    this.link.receive = (text) => {
      if (!this.alive || this.deaf || this.cut) return;
      if (this.#paused) this.#delayed.push(() => this.backplane.receive(text));
      else this.backplane.receive(text);
    };
    this.link.fate = () => (this.cut || !this.alive ? 'refused' : (this.fates.pop() ?? 'fine'));
    this.link.delay = async () => {
      for (let turn = 0; turn <= this.lag; turn++) {
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
      if (this.#paused) await this.#paused;
    };
  }

  get paused(): boolean {
    return this.#paused !== undefined;
  }

  deliver(effect: Effect): void {
    if (this.alive) this.connections.get(effect.to)?.take(effect);
  }

  forward(connectionId: string, frame: string): boolean {
    const connection = this.connections.get(connectionId);
    if (!this.alive || !connection?.open) return false;
    connection.frames.push(frame);
    return true;
  }

  dropFrame(): void {}

  pause(): void {
    if (this.#paused) return;
    this.#paused = new Promise((resolve) => {
      this.#resume = resolve;
    });
  }

  resume(): void {
    this.#paused = undefined;
    this.#resume?.();
    for (const late of this.#delayed.splice(0)) late();
  }

  kill(): void {
    this.alive = false;
    for (const connection of this.connections.values()) connection.open = false;
    this.resume();
  }
}

export class World {
  readonly #order: Order = { count: 0 };
  readonly clock = new FakeClock();
  readonly cluster = new FakeCluster(this.clock);
  nodes: FakeNode[] = [];
  started = 0;
  opened = 0;
  clients: (FakeConnection | undefined)[] = Array.from({ length: CLIENTS });
  past: FakeConnection[] = [];

  constructor() {
    for (let n = 0; n < 3; n++) this.start();
  }

  start(): FakeNode {
    // Versions are derived from the time, which moves in steps here. Without an offset, two nodes would create the same one.
    const now = this.clock.now() + this.started;
    const node = new FakeNode(this.cluster, `p${this.started++}`, now);
    this.nodes.push(node);
    return node;
  }

  /** One operation at a time for each connection, as in the handlers. */
  connect(client: number, at: number): void {
    this.disconnect(client);
    const usable = this.nodes.filter(({ alive }) => alive);
    const node = usable[at % usable.length] as FakeNode;
    const connection = new FakeConnection(`c${client}.${this.opened++}`, node, this.#order);
    node.connections.set(connection.id, connection);
    this.clients[client] = connection;
    this.past.push(connection);
  }

  disconnect(client: number): void {
    const connection = this.clients[client];
    this.clients[client] = undefined;
    if (connection === undefined) return;
    connection.open = false;
    this.#gone(connection);
  }

  #gone({ node, id, seat }: FakeConnection): void {
    if (seat !== null && node.alive) void node.backplane.depart(seat.roomId, id, 'disconnect');
  }

  join(client: number, at: number, roomId: string, deviceId: string | null): void {
    if (!this.clients[client]?.open) this.connect(client, at);
    const connection = this.clients[client] as FakeConnection;
    if (connection.busy || !connection.open || connection.node.paused) return;
    const { node, id, seat } = connection;
    connection.busy = true;
    connection.asked = { roomId, deviceId, askedAt: ++this.#order.count, joinedAt: 0 };
    const devices = deviceId === null ? null : PAIRED;
    node.backplane
      .join(roomId, { connectionId: id, deviceId }, devices, seat?.roomId ?? null)
      .then(async (isSeated) => {
        if (isSeated && !connection.open) await node.backplane.depart(roomId, id, 'disconnect');
      })
      .catch(() => connection.log.push('unavailable'))
      .finally(() => {
        connection.busy = false;
      });
  }

  /** Sends a message to its peer, as the handlers do. */
  say(client: number): void {
    const connection = this.clients[client];
    if (!connection?.open || connection.busy || connection.node.paused) return;
    const { id, node, seat } = connection;
    if (!seat?.peerId || !node.alive) return;
    const frame = `${id} ${connection.count++}`;
    connection.said.push(frame);
    node.backplane.forward(id, seat.peerId, frame);
  }

  leave(client: number): void {
    const connection = this.clients[client];
    if (!connection?.open || connection.busy || connection.seat === null) return;
    if (connection.node.paused) return;
    connection.busy = true;
    void connection.node.backplane
      .depart(connection.seat.roomId, connection.id, 'leave')
      .finally(() => {
        connection.busy = false;
      });
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 500) {
      this.clock.advance(500);
      for (const node of this.nodes) {
        if (!node.alive) continue;
        if (node.paused) node.clock.pause(500);
        else node.clock.advance(500);
      }
      for (let turn = 0; turn < 6; turn++) await new Promise<void>((r) => setImmediate(r));
    }
  }

  async settle(): Promise<void> {
    for (let calm = 0; calm < 5; ) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      const living = this.nodes.filter(({ alive }) => alive);
      const busy = this.cluster.travelling > 0 || living.some(({ link }) => link.calling > 0);
      calm = busy ? 0 : calm + 1;
    }
  }

  record(roomId: string): RoomRecord | undefined {
    const text = this.cluster.records.get(roomId);
    return text === undefined ? undefined : decodeRecord(text);
  }

  async recover(): Promise<void> {
    for (const node of this.nodes) {
      node.resume();
      node.cut = false;
      node.deaf = false;
      node.lag = 0;
      node.fates = [];
      if (node.alive) node.backplane.resubscribed();
    }
    await this.pass(3 * LEASE_MS);
    await this.settle();
    // A record store that was set back may list members who have left. Their node detects this at the next join.
    const knocker = new FakeConnection(
      'knocker',
      this.nodes.find(({ alive }) => alive) as FakeNode,
      this.#order,
    );
    const { backplane, connections } = knocker.node;
    connections.set(knocker.id, knocker);
    for (const roomId of ROOMS) {
      await backplane.join(roomId, { connectionId: knocker.id, deviceId: null }, null, null);
      await this.settle();
      await backplane.depart(roomId, knocker.id, 'leave');
      await this.settle();
    }
  }
}
