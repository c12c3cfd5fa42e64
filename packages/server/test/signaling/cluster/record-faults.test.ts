// A room with members on two nodes, and faults of the record store: no answer, a refused change, lost data.
import { describe, expect, test } from 'vitest';
import { Unavailable } from '../../../src/base/failures.js';
import { type ClusterNode, type FakeNodes, LEASE_MS } from '../../support/cluster-nodes.js';
import { seat, twoNodes } from '../../support/two-nodes.js';

describe('a lost answer', () => {
  test.each(['lost', 'refused'] as const)(
    'to a join is `unavailable`, and the seat is free again (%s)',
    async (fate) => {
      const { connections, world, first, join, members } = await twoNodes();
      first.link.fate = (call) => (call === 'set' ? fate : 'fine');
      await expect(join('a')).rejects.toBeInstanceOf(Unavailable);
      first.link.fate = () => 'fine';
      expect(connections.take('a')).toEqual([]);
      first.backplane.resubscribed();
      await world.settle();
      expect(members()).toEqual([]);
    },
  );

  test('to a departure leaves no peer uninformed', async () => {
    const { connections, world, second, pair, members } = await twoNodes();
    await pair('a', 'b');
    second.link.fate = (call) => (call === 'set' ? 'lost' : 'fine');
    await second.backplane.depart('r', 'b', 'leave');
    expect(connections.take('b')).toEqual(['left_room']);
    second.link.fate = () => 'fine';
    expect(members()).toEqual(['a']);
    expect(connections.take('a')).toEqual([]);
    second.backplane.resubscribed();
    await world.settle();
    expect(connections.take('a')).toEqual(['peer_disconnected']);
  });
});

describe('a full record store', () => {
  test('refuses a new room, and no task remains', async () => {
    const { connections, world, first, join, members } = await twoNodes();
    world.cluster.isFull = true;
    await expect(join('a')).rejects.toBeInstanceOf(Unavailable);
    await world.settle();
    const before = world.cluster.calls;
    await first.backplane.depart('r', 'a', 'disconnect');
    await world.pass(3000);
    // Only renewals of the leases.
    expect(world.cluster.calls - before).toBeLessThanOrEqual(2);
    expect(world.cluster.records.size).toBe(0);
    world.cluster.isFull = false;
    await join('a');
    expect(connections.take('a')).toEqual(['room_joined initiator']);
    expect(members()).toEqual(['a']);
  });

  test('accepts members that come back on either node, and present members again', async () => {
    const { connections, world, first, pair, join, members } = await twoNodes();
    await pair('a', 'b');
    world.cluster.isFull = true;
    await world.backplaneOf('b').depart('r', 'b', 'disconnect');
    await join('d');
    await world.settle();
    expect(members()).toEqual(['a', 'd']);
    expect(connections.take('a')).toEqual(['peer_disconnected', 'room_ready initiator']);
    await world.backplaneOf('d').depart('r', 'd', 'leave');
    await world.settle();
    world.cluster.records.clear();
    first.backplane.resubscribed();
    await world.settle();
    expect(members()).toEqual(['a']);
  });
});

describe('a change that failed under a valid lease', () => {
  test('is made soon after, without another event', async () => {
    const { connections, world, second, pair, members } = await twoNodes();
    await pair('a', 'b');
    second.link.fate = (call) => (call === 'set' ? 'refused' : 'fine');
    await second.backplane.depart('r', 'b', 'leave');
    await world.pass(1500);
    expect(members()).toEqual(['a', 'b']);
    second.link.fate = () => 'fine';
    await world.pass(1500);
    expect(members()).toEqual(['a']);
    expect(connections.take('a')).toEqual(['peer_disconnected']);
  });

  test('treats no node as dead without an answer', async () => {
    const { connections, world, first, second, pair, join, members } = await twoNodes();
    await pair('a', 'c');
    // The first node has a new lease, which the second cannot read now.
    world.cluster.leases.delete(first.backplane.lease.id);
    await first.backplane.lease.ask();
    await world.settle();
    second.link.fate = (call) => (call === 'renew' ? 'refused' : 'fine');
    await expect(join('b')).rejects.toBeInstanceOf(Unavailable);
    expect(members()).toEqual(['a', 'c']);
    expect([connections.take('a'), connections.take('c')]).toEqual([[], []]);
  });
});

test('a take-over of unknown outcome that is undone changes no roles', async () => {
  const { connections, world, first, second, join, members } = await twoNodes();
  world.homes.set('e', 0);
  await join('a', 'phone');
  await join('c');
  await world.settle();
  connections.take('a');
  connections.take('c');
  first.link.fate = (call) => (call === 'set' ? 'lost' : 'fine');
  await expect(join('e', 'phone')).rejects.toBeInstanceOf(Unavailable);
  expect(members()).toEqual(['e', 'c']);
  first.link.fate = () => 'fine';
  world.cluster.leases.delete(first.backplane.lease.id);
  await second.backplane.lease.ask();
  first.backplane.resubscribed();
  await first.backplane.lease.ask();
  await world.pass(1500);
  expect(members()).toEqual(['a', 'c']);
  expect([connections.take('a'), connections.take('c')]).toEqual([[], []]);
});

test('joins beyond the bound get `unavailable`, and every seat is free when all have left', async () => {
  const { connections, world, first, pair, members } = await twoNodes();
  await pair('a', 'c');
  const ids = Array.from({ length: 2100 }, (_, n) => `x${n}`);
  const joins = ids.map((id) => first.backplane.join('r', seat(id), null, null));
  const leaving = first.backplane.depart('r', 'a', 'leave');
  const outcomes = await Promise.allSettled(joins);
  await leaving;
  const refused = outcomes.flatMap((outcome) =>
    outcome.status === 'rejected' ? [outcome.reason] : [],
  );
  expect(refused.length).toBeGreaterThan(0);
  for (const reason of refused) expect(reason).toBeInstanceOf(Unavailable);
  expect(connections.take('a')).toEqual(['left_room']);
  expect(connections.take('c')).toEqual(['peer_left']);
  const more = ids.map((id) => first.backplane.join('r', seat(id), null, null).catch(() => {}));
  const departures = ['c', ...ids].map((id) => first.backplane.depart('r', id, 'disconnect'));
  await Promise.all([...more, ...departures]);
  await world.settle();
  expect(members()).toEqual([]);
});

test('a change that reaches the record store after the end of its lease is made under a new one', async () => {
  const { world, first, join } = await twoNodes();
  const { id } = first.backplane.lease;
  let isFirst = true;
  first.link.fate = (call) => {
    if (call === 'set' && isFirst) {
      isFirst = false;
      world.clock.advance(2 * LEASE_MS);
    }
    return 'fine';
  };
  expect(await join('a')).toBe(true);
  expect(first.backplane.lease.id).not.toBe(id);
  const [member] = world.cluster.record('r').members;
  expect(member).toMatchObject({ connectionId: 'a', node: first.backplane.lease.id });
});

test('an internal error is not an outage, and is logged', async () => {
  const { first, world, join, log } = await twoNodes();
  const fault = new TypeError('a fault of ours');
  first.link.store.compareAndSet = () => {
    throw fault;
  };
  await expect(join('a')).rejects.toBe(fault);
  first.backplane.resubscribed();
  await world.settle();
  expect(log.lines().map(({ err }) => (err as Error | undefined)?.message)).toContain(
    fault.message,
  );
});

/** Loses all data of the record store, and restores the subscription. */
async function loseAll(world: FakeNodes, { backplane }: ClusterNode): Promise<void> {
  world.cluster.records.clear();
  world.cluster.leases.clear();
  backplane.resubscribed();
  await world.pass(LEASE_MS);
}

test('a room that is created again after its record expired has a later version and generation', async () => {
  const { world, pair } = await twoNodes();
  await pair('a', 'b');
  const before = world.cluster.record('r');
  for (const id of ['a', 'b']) await world.backplaneOf(id).depart('r', id, 'leave');
  await world.settle();
  world.cluster.records.clear();
  await world.pass(500);
  await pair('a', 'b');
  const after = world.cluster.record('r');
  expect(after.version).toBeGreaterThan(before.version);
  expect(after.generation).toBeGreaterThan(before.generation);
});

describe('a record store that loses', () => {
  test.each(['d', 'c'])(
    'everything lets no stranger in before all who sat are back (%s)',
    async (stranger) => {
      const { connections, world, first, pair, join, members } = await twoNodes();
      await pair('a', 'b');
      await world.pass(LEASE_MS / 10);
      world.cluster.records.clear();
      world.cluster.leases.clear();
      await expect(join(stranger)).rejects.toBeInstanceOf(Unavailable);
      await first.backplane.lease.ask();
      await world.settle();
      await expect(join(stranger)).rejects.toBeInstanceOf(Unavailable);
      await world.pass(2 * LEASE_MS);
      expect(members().sort()).toEqual(['a', 'b']);
      expect(await join(stranger)).toBe(false);
      expect(connections.take(stranger)).toEqual(['room_full']);
      for (const id of ['a', 'b']) {
        expect(connections.take(id).filter((told) => told.startsWith('close'))).toEqual([]);
      }
    },
  );

  test('everything is filled again by the nodes of present members', async () => {
    const { connections, world, first, pair, members } = await twoNodes();
    await pair('a', 'c');
    await loseAll(world, first);
    expect(members()).toEqual(['a', 'c']);
    expect([connections.take('a'), connections.take('c')]).toEqual([[], []]);
  });

  test.each([
    ['on another node', 'b'],
    ['on the same node', 'c'],
  ])('that one has left, %s, makes no peer of it', async (_where, leaver) => {
    const { connections, world, first, pair, members } = await twoNodes();
    await pair('a', leaver);
    const before = new Map(world.cluster.records);
    await world.backplaneOf(leaver).depart('r', leaver, 'leave');
    await world.settle();
    connections.take('a');
    world.cluster.records = before;
    first.backplane.resubscribed();
    await world.settle();
    expect(members()).toEqual(['a']);
    expect(connections.take('a')).toEqual([]);
  });

  test('everything keeps the roles of two members after a take-over', async () => {
    const { connections, world, first, join, members } = await twoNodes();
    world.homes.set('e', 0);
    await join('a', 'phone');
    await join('c', 'tablet');
    await join('e', 'phone');
    await world.settle();
    for (const id of ['a', 'c', 'e']) connections.take(id);
    await loseAll(world, first);
    expect(members()).toEqual(['e', 'c']);
    expect([connections.take('e'), connections.take('c')]).toEqual([[], []]);
  });

  test('the departure of two members of another node accepts the second join', async () => {
    const { connections, world, second, pair, join } = await twoNodes();
    await pair('b', 'd');
    const before = new Map(world.cluster.records);
    await second.backplane.depart('r', 'b', 'leave');
    await second.backplane.depart('r', 'd', 'leave');
    await world.settle();
    world.cluster.records = before;
    expect(await join('a')).toBe(false);
    await world.settle();
    expect(await join('a')).toBe(true);
    expect(connections.take('a')).toEqual(['room_full', 'room_joined initiator']);
  });

  test('a departure frees the seat by itself, even if the record cannot be read at first', async () => {
    const { world, first, join, members } = await twoNodes();
    await join('a');
    const before = new Map(world.cluster.records);
    await first.backplane.depart('r', 'a', 'leave');
    await world.settle();
    world.cluster.records = before;
    first.link.fate = (call) => (call === 'read' ? 'refused' : 'fine');
    await join('b');
    await world.settle();
    expect(members()).toEqual(['a', 'b']);
    first.link.fate = () => 'fine';
    await world.pass(3000);
    expect(members()).toEqual(['b']);
  });

  test('its last changes keeps no seat for a member that has left', async () => {
    const { connections, world, first, second, pair, members } = await twoNodes();
    await pair('a', 'b');
    const before = new Map(world.cluster.records);
    await second.backplane.depart('r', 'b', 'leave');
    await world.settle();
    connections.take('a');
    world.cluster.records = before;
    first.backplane.resubscribed();
    await world.settle();
    expect(members()).toEqual(['a']);
    expect(connections.seats.get('a')).toMatchObject({ peerId: null });
  });

  test.each(['has gone', 'sits there by what was lost'])(
    'its last changes takes no seat for that of a connection which its device had before, and which %s',
    async (how) => {
      const { connections, world, first, second, join, members } = await twoNodes();
      await join('b', 'phone');
      if (how === 'has gone') await second.backplane.depart('r', 'b', 'disconnect');
      const before = new Map(world.cluster.records);
      await world.pass(500);
      await join('a', 'phone');
      await world.pass(500);
      world.cluster.records = before;
      await join('d');
      first.backplane.resubscribed();
      await world.settle();
      expect(connections.take('a')).toEqual(['room_joined initiator', 'close try_again_later']);
      expect(members()).toEqual(['d']);
    },
  );
});
