// Simulates the nodes of a cluster in memory with every possible fault, and clients that record what they receive.
import { FakeClock } from '@couplet/testkit/fake-clock';
import { type Logger, pino } from 'pino';
import type { LocalConnections } from '../../src/signaling/backplane.js';
import { decodeRecord, type RoomRecord } from '../../src/signaling/cluster/room-record.js';
import type { Effect, Seat } from '../../src/signaling/room.js';
import { ClusterNode, LEASE_MS, settle } from './cluster-nodes.js';
import { FakeCluster, oneTurn } from './fake-cluster.js';

export const CLIENTS = 6;
export const ROOMS = ['r0', 'r1'];
export const DEVICES = [null, null, 'creator', 'acceptor'];
const PAIRED = { client1: 'creator', client2: 'acceptor' };
const SILENT = pino({ level: 'silent' }) as Logger;

export type FakeNode = ClusterNode;

/** A join by its device, with the times of its request and answer in the order of all events. */
interface Stay {
  readonly roomId: string;
  readonly deviceId: string | null;
  readonly askedAt: number;
  joinedAt: number;
}

/** One WebSocket, from the messages that it received. */
export class FakeConnection {
  readonly id: string;
  readonly node: ClusterNode;
  seat: Seat | null = null;
  isClosed = false;
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

  constructor(id: string, node: ClusterNode) {
    this.id = id;
    this.node = node;
  }

  get open(): boolean {
    return !this.isClosed && this.node.alive;
  }

  /** @param order - the number of this event in the order of all events */
  take(effect: Effect, order: number): void {
    if (effect.kind === 'seat') {
      this.seat = effect.seat;
      if (effect.seat === null) this.role = null;
      return;
    }
    if (effect.kind === 'close') {
      this.log.push(`close ${effect.reason}`);
      this.isClosed = true;
      return;
    }
    const { message } = effect;
    this.said = [];
    this.log.push(
      'isInitiator' in message ? `${message.type} ${message.isInitiator}` : message.type,
    );
    if (message.type === 'room_joined' && this.asked) {
      this.stay = this.asked;
      this.stay.joinedAt = order;
    }
    if (message.type === 'room_ready') this.role = message.isInitiator ? 'initiator' : 'responder';
    else if (message.type !== 'room_full') this.role = null;
  }
}

export class World implements LocalConnections {
  readonly clock = new FakeClock();
  readonly cluster = new FakeCluster(this.clock);
  nodes: ClusterNode[] = [];
  clients: (FakeConnection | undefined)[] = Array.from({ length: CLIENTS });
  past: FakeConnection[] = [];
  /** Counts all events. */
  #order = 0;

  constructor() {
    for (let n = 0; n < 3; n++) this.start();
  }

  start(): void {
    const number = this.nodes.length;
    // Versions are derived from the time, which moves in steps here. Without an offset, two nodes would create the same one.
    const now = this.clock.now() + number;
    this.nodes.push(new ClusterNode(this.cluster, `p${number}`, now, this, SILENT));
  }

  deliver(effect: Effect): void {
    const connection = this.past.find(({ id }) => id === effect.to);
    if (connection?.node.alive) connection.take(effect, ++this.#order);
  }

  forward(connectionId: string, frame: string): boolean {
    const connection = this.past.find(({ id }) => id === connectionId);
    if (!connection?.open) return false;
    connection.frames.push(frame);
    return true;
  }

  dropFrame(): void {}

  /** One operation at a time for each connection, as in the handlers. */
  connect(client: number, at: number): void {
    this.disconnect(client);
    const usable = this.nodes.filter(({ alive }) => alive);
    const node = usable[at % usable.length] as ClusterNode;
    const connection = new FakeConnection(`c${client}.${this.past.length}`, node);
    this.clients[client] = connection;
    this.past.push(connection);
  }

  disconnect(client: number): void {
    const connection = this.clients[client];
    this.clients[client] = undefined;
    if (connection === undefined) return;
    connection.isClosed = true;
    const { node, id, seat } = connection;
    if (seat !== null && node.alive) void node.backplane.depart(seat.roomId, id, 'disconnect');
  }

  join(client: number, at: number, roomId: string, deviceId: string | null): void {
    if (!this.clients[client]?.open) this.connect(client, at);
    const connection = this.clients[client] as FakeConnection;
    if (connection.busy || !connection.open || connection.node.paused) return;
    const { node, id, seat } = connection;
    connection.busy = true;
    connection.asked = { roomId, deviceId, askedAt: ++this.#order, joinedAt: 0 };
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
    if (!seat?.peerId) return;
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

  /** Moves time on in steps, whether or not calls have ended. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 500) {
      this.clock.advance(500);
      for (const node of this.nodes) if (node.alive) node.pass(500);
      for (let turn = 0; turn < 6; turn++) await oneTurn();
    }
  }

  settle(): Promise<void> {
    return settle(this.cluster, this.nodes);
  }

  record(roomId: string): RoomRecord | undefined {
    const text = this.cluster.records.get(roomId);
    return text === undefined ? undefined : decodeRecord(text);
  }

  async recover(): Promise<void> {
    for (const node of this.nodes) {
      node.resume();
      Object.assign(node, { cut: false, deaf: false, lag: 0, fates: [] });
      if (node.alive) node.backplane.resubscribed();
    }
    await this.pass(3 * LEASE_MS);
    await this.settle();
    // A record store that was set back may list members who have left. Their node detects this at the next join.
    const { backplane } = this.nodes.find(({ alive }) => alive) as ClusterNode;
    const connectionId = 'knocker';
    for (const roomId of ROOMS) {
      await backplane.join(roomId, { connectionId, deviceId: null }, null, null);
      await this.settle();
      await backplane.depart(roomId, connectionId, 'leave');
      await this.settle();
    }
  }
}
