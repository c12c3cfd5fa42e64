// After random faults of nodes, links and clients, all members have the seats of the record store, and were told so.
import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { RoomRecord } from '../../../src/signaling/cluster/room-record.js';
import { initiator } from '../../../src/signaling/room.js';
import { CLIENTS, DEVICES, type FakeNode, ROOMS, World } from '../../support/cluster-world.js';

interface Cast {
  clients: number;
  rooms: readonly string[];
  devices: readonly (string | null)[];
}

/** A step of this kind, chosen in proportion to its weight. */
const step = <K extends string, F extends object>(
  weight: number,
  kind: K,
  fields: { [P in keyof F]: fc.Arbitrary<F[P]> },
) => ({
  weight,
  arbitrary: fc.record({ kind: fc.constant(kind), ...fields }) as fc.Arbitrary<{ kind: K } & F>,
});

/** Actions of clients and faults of nodes. */
function happenings({ clients, rooms, devices }: Cast) {
  const client = fc.nat(clients - 1);
  const node = fc.nat(3);
  const fate = fc.constantFrom('fine' as const, 'lost' as const, 'refused' as const);
  return [
    step(8, 'join', {
      client,
      node,
      room: fc.constantFrom(...rooms),
      device: fc.constantFrom(...devices),
    }),
    step(2, 'leave', { client }),
    step(2, 'disconnect', { client }),
    step(4, 'settle', {}),
    step(6, 'say', { client }),
    step(3, 'pass', { ms: fc.constantFrom(500, 2000, 6000, 15_000) }),
    step(1, 'kill', { node }),
    step(1, 'deaf', { node }),
    step(2, 'pause', { node }),
    step(2, 'resume', { node }),
    step(2, 'cut', { node }),
    step(2, 'mend', { node }),
    step(3, 'lag', { node, turns: fc.nat(12) }),
    step(3, 'fates', { node, fates: fc.array(fate, { maxLength: 6 }) }),
  ] as const;
}

/** Losses of the record store, by a failover or a loss of memory. */
const losses = [step(1, 'forget', {}), step(1, 'snapshot', {}), step(1, 'restore', {})] as const;

const anything = fc.oneof(
  ...happenings({ clients: CLIENTS, rooms: ROOMS, devices: DEVICES }),
  ...losses,
);

type Step = typeof anything extends fc.Arbitrary<infer T> ? T : never;

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
      case 'say':
        world.say(action.client);
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
          if (target.alive) target.backplane.resubscribed();
        }
        break;
      case 'lag':
        if (target) target.lag = action.turns;
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
  await world.recover();
  return world;
}

function judge(world: World): void {
  const living = world.past.filter((connection) => connection.open && connection.node.alive);
  const story = living.map(({ id, log }) => `${id}: ${log.join(', ')}`).join('\n');
  for (const roomId of ROOMS) {
    // Members of dead nodes do not count if no join has followed in their room.
    const members =
      world.record(roomId)?.members.filter(({ node }) => world.cluster.leases.has(node)) ?? [];
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
    const ids = record.members.map(({ connectionId }) => connectionId);
    expect(ids, `${id} is known in ${seat.roomId}\n${story}`).toContain(id);
    const peerId = ids.find((other) => other !== id) ?? null;
    expect(seat.peerId, `peer of ${id}\n${story}`).toBe(peerId);
    const isInitiator = initiator(record)?.connectionId === id;
    const role = peerId === null ? null : isInitiator ? 'initiator' : 'responder';
    expect(connection.role, `role of ${id}\n${story}`).toBe(role);
  }
}

/** The messages of a member since its last message about the room have arrived, once and in order. */
function judgeFrames(world: World): void {
  for (const { id, open, node, seat, said, log } of world.past) {
    if (!open || !node.alive || !seat?.peerId) continue;
    const peer = world.past.find((other) => other.id === seat.peerId);
    const heard = peer?.frames.filter((frame) => frame.startsWith(`${id} `)) ?? [];
    const story = `frames of ${id}\n${log}\n${peer?.log}`;
    expect(heard.slice(heard.length - said.length), story).toEqual(said);
    const numbers = heard.map((frame) => Number(frame.split(' ')[1]));
    expect(numbers, story).toEqual([...new Set(numbers)].sort((a, b) => a - b));
  }
}

/** No member has a seat whose device was seated by a later connection. Returns the number of checked seats. */
function judgeTakeOvers(world: World): number {
  let judged = 0;
  for (const { id, open, node, seat, stay, asked } of world.past) {
    if (!open || !node.alive || seat === null || stay === undefined) continue;
    // It may have the seat by a join without an answer: as another device, or later.
    if (asked !== stay) continue;
    if (stay.deviceId === null || stay.roomId !== seat.roomId) continue;
    judged += 1;
    const successors = world.past.filter(
      (other) =>
        other.id !== id &&
        other.stay?.roomId === stay.roomId &&
        other.stay.deviceId === stay.deviceId &&
        other.stay.askedAt > stay.joinedAt,
    );
    expect(
      successors.map((other) => other.id),
      `${id} was taken over`,
    ).toEqual([]);
  }
  return judged;
}

/**
 * All peers reach each other. A gap between two nodes that is detected only now is told to both
 * members as a new generation; then they reach each other in that one.
 */
async function talk(world: World, attempts = 3): Promise<void> {
  const pairs = world.past.filter(({ open, node, seat }) => open && node.alive && seat?.peerId);
  const told = new Map(pairs.map(({ id, log }) => [id, log.length]));
  for (const connection of pairs) connection.frames.length = 0;
  for (const { id, node, seat } of pairs) {
    for (let n = 0; n < 3; n++) node.backplane.forward(id, seat?.peerId as string, `${id} ${n}`);
  }
  const expected = new Map(
    pairs.map(({ id, seat }) => [id, [0, 1, 2].map((n) => `${seat?.peerId} ${n}`)]),
  );
  await world.settle();
  // Unacknowledged messages are published again after a second.
  await world.pass(2000);
  await world.settle();
  const isNewGeneration = ({ id, log }: { id: string; log: readonly string[] }) =>
    log.length > (told.get(id) ?? 0);
  const lost = pairs.filter(({ id, frames }) => frames.join() !== expected.get(id)?.join());
  const peersOf = ({ seat }: (typeof pairs)[number]) =>
    pairs.filter(({ id }) => id === seat?.peerId);
  const isTold = lost.every((one) => [one, ...peersOf(one)].every(isNewGeneration));
  if (lost.length > 0 && isTold && attempts > 1) return talk(world, attempts - 1);
  for (const { id, frames } of pairs) expect(frames).toEqual(expected.get(id));
}

/** Stories of each property. Every run has other ones. */
const RUNS = Number(process.env.CHAOS_RUNS ?? 300);
/** Determines all stories of this file exactly. */
const SEED = Number(process.env.CHAOS_SEED || randomInt(2 ** 31));
process.stdout.write(`random stories: CHAOS_SEED=${SEED} plays them again\n`);

/** Runs stories of such steps, and checks each at its end. */
const afterAnyStory = (step: fc.Arbitrary<Step>, judgement: (world: World) => unknown) =>
  fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), async (steps) => {
      const world = await play(steps);
      try {
        await judgement(world);
      } finally {
        for (const { alive, backplane } of world.nodes) if (alive) await backplane.close();
      }
    }),
    { numRuns: RUNS, seed: SEED },
  );

const LONG = { timeout: 600_000 };

test(
  'after any faults, each member has the seat of the record store, was told its peer, and reaches it',
  LONG,
  () =>
    afterAnyStory(anything, async (world) => {
      judge(world);
      judgeFrames(world);
      await talk(world);
    }),
);

test(
  'a device that joined again is never evicted by its earlier connection if the record store loses nothing',
  LONG,
  async () => {
    const cast = { clients: 3, rooms: ROOMS.slice(0, 1), devices: ['creator', 'acceptor'] };
    let judged = 0;
    await afterAnyStory(fc.oneof(...happenings(cast)), (world) => {
      judge(world);
      judgeFrames(world);
      judged += judgeTakeOvers(world);
    });
    expect(judged).toBeGreaterThan(0);
  },
);
