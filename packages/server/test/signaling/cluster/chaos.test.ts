// Whatever nodes, links and clients do to each other: when it is over, everyone sits where the register says, and has been told so.
import fc from 'fast-check';
import { type Logger, pino } from 'pino';
import { expect, test } from 'vitest';
import type { LocalConnections } from '../../../src/signaling/backplane.js';
import { ClusterBackplane } from '../../../src/signaling/cluster/cluster-backplane.js';
import { decodeRecord, type RoomRecord } from '../../../src/signaling/cluster/room-record.js';
import { type Effect, initiator, type Seat } from '../../../src/signaling/room.js';
import { LEASE_MS } from '../../support/cluster-nodes.js';
import { FakeClock } from '../../support/fake-clock.js';
import { FakeCluster, type Fate, type Link } from '../../support/fake-cluster.js';

const CLIENTS = 6;
const ROOMS = ['r0', 'r1'];
const DEVICES = [null, null, 'creator', 'acceptor'];
const PAIRED = { client1: 'creator', client2: 'acceptor' };

/** One WebSocket, by what it was told. */
class FakeConnection {
  readonly id: string;
  readonly node: FakeNode;
  seat: Seat | null = null;
  open = true;
  busy = false;
  /** What it believes of its peer, from messages alone: the role it was given, or none. */
  role: 'initiator' | 'responder' | null = null;
  readonly frames: string[] = [];
  /** All it was told, for the report of a failure. */
  readonly log: string[] = [];

  constructor(id: string, node: FakeNode) {
    this.id = id;
    this.node = node;
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
    this.log.push(
      'isInitiator' in message ? `${message.type} ${message.isInitiator}` : message.type,
    );
    if (message.type === 'room_ready') this.role = message.isInitiator ? 'initiator' : 'responder';
    else if (message.type !== 'room_full') this.role = null;
  }
}

class FakeNode implements LocalConnections {
  readonly clock: FakeClock;
  readonly link: Link;
  readonly backplane: ClusterBackplane;
  readonly connections = new Map<string, FakeConnection>();
  alive = true;
  #resume: (() => void) | undefined;
  #paused: Promise<void> | undefined;
  #delayed: (() => void)[] = [];
  deaf = false;
  fates: Fate[] = [];
  cut = false;

  constructor(cluster: FakeCluster, processId: string, now: number) {
    this.clock = new FakeClock(now);
    this.link = cluster.link(processId);
    this.backplane = new ClusterBackplane(this, {
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
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (this.#paused) await this.#paused;
    };
  }

  get paused(): boolean {
    return this.#paused !== undefined;
  }

  deliver(effect: Effect): void {
    if (this.alive) this.connections.get(effect.to)?.take(effect);
  }

  forward(connectionId: string, frame: string): void {
    const connection = this.connections.get(connectionId);
    if (this.alive && connection?.open) connection.frames.push(frame);
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

class World {
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
    const node = new FakeNode(this.cluster, `p${this.started++}`, this.clock.now());
    this.nodes.push(node);
    return node;
  }

  /** As the handlers do it: one thing at a time for each connection. */
  connect(client: number, at: number): void {
    this.disconnect(client);
    const usable = this.nodes.filter(({ alive }) => alive);
    const node = usable[at % usable.length] as FakeNode;
    const connection = new FakeConnection(`c${client}.${this.opened++}`, node);
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
      const busy = this.cluster.travelling > 0 || living.some(({ backplane }) => backplane.busy);
      calm = busy ? 0 : calm + 1;
    }
  }

  record(roomId: string): RoomRecord | undefined {
    const text = this.cluster.records.get(roomId);
    return text === undefined ? undefined : decodeRecord(text);
  }

  async heal(): Promise<void> {
    for (const node of this.nodes) {
      node.resume();
      node.cut = false;
      node.deaf = false;
      node.fates = [];
      if (node.alive) node.backplane.heardAgain();
    }
    await this.pass(3 * LEASE_MS);
    await this.settle();
    // A register that was set back may name members who have left. Their node learns of it when somebody comes.
    const knocker = new FakeConnection(
      'knocker',
      this.nodes.find(({ alive }) => alive) as FakeNode,
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

const client = fc.nat(CLIENTS - 1);
const node = fc.nat(3);
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('join' as const),
      client,
      node,
      room: fc.constantFrom(...ROOMS),
      device: fc.constantFrom(...DEVICES),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('leave' as const), client }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('disconnect' as const), client }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('settle' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('pass' as const),
      ms: fc.constantFrom(500, 2000, 6000, 15_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('kill' as const), node }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pause' as const), node }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('resume' as const), node }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cut' as const), node }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('mend' as const), node }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('deaf' as const), node }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('forget' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('snapshot' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restore' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('fates' as const),
      node,
      fates: fc.array(fc.constantFrom('fine' as const, 'lost' as const, 'refused' as const), {
        maxLength: 6,
      }),
    }),
  },
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

async function play(steps: readonly Step[]): Promise<World> {
  const world = new World();
  let snapshot: [Map<string, string>, Map<string, number>] = [new Map(), new Map()];
  await world.settle();
  for (const action of steps) {
    const target =
      'node' in action ? (world.nodes[action.node % world.nodes.length] as FakeNode) : undefined;
    switch (action.kind) {
      case 'join':
        world.join(action.client, action.node, action.room, action.device);
        break;
      case 'leave':
        world.leave(action.client);
        break;
      case 'disconnect':
        if (!world.clients[action.client]?.node.paused) world.disconnect(action.client);
        break;
      case 'settle':
        for (let turn = 0; turn < 12; turn++) await new Promise<void>((r) => setImmediate(r));
        break;
      case 'pass':
        await world.pass(action.ms);
        break;
      case 'kill':
        if (world.nodes.filter(({ alive }) => alive).length > 1) target?.kill();
        if (world.nodes.length < 6) world.start();
        break;
      case 'pause':
        target?.pause();
        break;
      case 'resume':
        target?.resume();
        break;
      case 'cut':
        if (target) target.cut = true;
        break;
      case 'mend':
        if (target) {
          target.cut = false;
          if (target.alive) target.backplane.heardAgain();
        }
        break;
      case 'deaf':
        if (target) target.deaf = !target.deaf;
        break;
      case 'forget':
        world.cluster.records.clear();
        world.cluster.leases.clear();
        break;
      case 'snapshot':
        snapshot = [new Map(world.cluster.records), new Map(world.cluster.leases)];
        break;
      case 'restore':
        [world.cluster.records, world.cluster.leases] = [
          new Map(snapshot[0]),
          new Map(snapshot[1]),
        ];
        break;
      case 'fates':
        if (target) target.fates = [...action.fates];
        break;
    }
  }
  await world.heal();
  return world;
}

function judge(world: World): void {
  const living = world.past.filter((connection) => connection.open && connection.node.alive);
  const story = living.map(({ id, log }) => `${id}: ${log.join(', ')}`).join('\n');
  for (const roomId of ROOMS) {
    // Of dead nodes whose room nobody has come to since, nobody counts.
    const { state, nodes } = world.record(roomId) ?? { state: { members: [] }, nodes: [] };
    const members = state.members.filter((_, at) => world.cluster.leases.has(nodes[at] as string));
    expect(members.length, story).toBeLessThanOrEqual(2);
    for (const { connectionId } of members) {
      const connection = living.find(({ id }) => id === connectionId);
      expect(connection?.seat?.roomId, `${connectionId} sits in ${roomId}\n${story}`).toBe(roomId);
    }
  }
  for (const connection of living) {
    const { seat, id } = connection;
    if (seat === null) continue;
    const record = world.record(seat.roomId) as RoomRecord;
    const ids = record.state.members.map(({ connectionId }) => connectionId);
    expect(ids, `${id} is known in ${seat.roomId}\n${story}`).toContain(id);
    const peerId = ids.find((other) => other !== id) ?? null;
    expect(seat.peerId, `peer of ${id}\n${story}`).toBe(peerId);
    const isInitiator = initiator(record.state)?.connectionId === id;
    const role = peerId === null ? null : isInitiator ? 'initiator' : 'responder';
    expect(connection.role, `role of ${id}\n${story}`).toBe(role);
  }
}

async function talk(world: World): Promise<void> {
  const pairs = world.past.filter(({ open, node, seat }) => open && node.alive && seat?.peerId);
  for (const connection of pairs) connection.frames.length = 0;
  for (const { id, node, seat } of pairs) {
    for (let n = 0; n < 3; n++) node.backplane.forward(id, seat?.peerId as string, `${id} ${n}`);
  }
  await world.settle();
  for (const { frames, seat } of pairs) {
    expect(frames).toEqual([0, 1, 2].map((n) => `${seat?.peerId} ${n}`));
  }
}

const RUNS = Number(process.env.CHAOS_RUNS ?? 150);
const SEED = process.env.CHAOS_SEED === undefined ? {} : { seed: Number(process.env.CHAOS_SEED) };

test('after any faults everyone sits where the register says, knows it, and reaches its peer', {
  timeout: 600_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), async (steps) => {
      const world = await play(steps);
      try {
        judge(world);
        await talk(world);
      } finally {
        for (const { alive, backplane } of world.nodes) if (alive) await backplane.close();
      }
    }),
    { numRuns: RUNS, ...SEED },
  );
});
