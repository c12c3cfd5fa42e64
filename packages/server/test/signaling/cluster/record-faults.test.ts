// A room with members on two nodes, and faults of the record store: no answer, a refused change, lost data.
import { expect, test } from 'vitest';
import { Unavailable } from '../../../src/base/failures.js';
import { LEASE_MS } from '../../support/cluster-nodes.js';
import { seat, stories, twoNodes } from '../../support/two-nodes.js';

stories(`
  a lost answer to a join is unavailable, and the seat is free again: first loses set;
      a joins = unavailable; first works; a told nothing; first resubscribes; settle;
      members nobody
  a refused join is unavailable, and the seat is free: first refuses set; a joins = unavailable;
      first works; a told nothing; first resubscribes; settle; members nobody
  a lost answer to a departure leaves no peer uninformed: a and b meet; second loses set; b leaves;
      b told left_room; second works; members a; a told nothing; second resubscribes; settle;
      a told peer_disconnected
  a full record store accepts members that come back on either node, and present members again:
      a and b meet; store is full; b hangs up; d joins; settle; members a, d;
      a told peer_disconnected, room_ready initiator; d leaves; settle; store forgets the rooms;
      first resubscribes; settle; members a
  a change that failed under a valid lease is made soon after, without another event: a and b meet;
      second refuses set; b leaves; pass 1500; members a, b; second works; pass 1500; members a;
      a told peer_disconnected
  no node is treated as dead without an answer: a and c meet; first has no lease;
      first asks for its lease; settle; second refuses renew; b joins = unavailable; members a, c;
      a told nothing; c told nothing
  a take-over of unknown outcome that is undone changes no roles: a joins as phone; c joins; settle; read a, c; first loses set;
      e joins as phone = unavailable; members e, c; first works; first has no lease;
      second asks for its lease; first resubscribes; first asks for its lease; pass 1500;
      members a, c; a told nothing; c told nothing
  a record store that lost everything refuses a stranger on the second node until the members are back:
      a and b meet; pass 1000; store forgets the rooms; store forgets the leases;
      d joins = unavailable; first asks for its lease; settle; d joins = unavailable; pass 20000;
      d joins = full; d told room_full; a was not closed; b was not closed
  a record store that lost everything refuses a stranger on the first node until the members are back:
      a and b meet; pass 1000; store forgets the rooms; store forgets the leases;
      c joins = unavailable; first asks for its lease; settle; c joins = unavailable; pass 20000;
      c joins = full; c told room_full; a was not closed; b was not closed
  a record store that lost everything is filled again by the nodes of present members:
      a and c meet; store forgets the rooms; store forgets the leases; first resubscribes;
      pass 10000; members a, c; a told nothing; c told nothing
  a record store that lost everything gets the roles of a take-over again:
      a joins as phone; c joins as tablet; e joins as phone; settle;
      read a, c, e; store forgets the rooms; store forgets the leases; first resubscribes;
      pass 10000; members e, c; e told nothing; c told nothing
  a record store that lost a departure on another node makes no peer of the member that has left:
      a and b meet; store is copied; b leaves; settle; read a; store goes back; first resubscribes;
      settle; members a; a told nothing; a sits alone
  a record store that lost a departure on the same node makes no peer of it either: a and c meet;
      store is copied; c leaves; settle; read a; store goes back; first resubscribes; settle;
      members a; a told nothing; a sits alone
  a record store that lost the departure of two members of another node accepts the second join:
      b and d meet; store is copied; b leaves; d leaves; settle; store goes back; a joins = full;
      settle; a joins = seated; a told room_full, room_joined initiator
  a lost departure frees the seat by itself, even if the record cannot be read at first: a joins;
      store is copied; a leaves; settle; store goes back; first refuses read; b joins; settle;
      members a, b; first works; pass 3000; members b
  a connection does not claim again the seat of an earlier connection of its device that has gone:
      b joins as phone; b hangs up; store is copied; pass 500; a joins as phone; pass 500;
      store goes back; d joins; first resubscribes; settle;
      a told room_joined initiator, close try_again_later; members d
  a connection does not claim again the seat of an earlier one that is back because data was lost:
      b joins as phone; store is copied; pass 500; a joins as phone; pass 500; store goes back;
      d joins; first resubscribes; settle; a told room_joined initiator, close try_again_later;
      members d
`);

test('a full record store refuses a new room, and no task remains', async () => {
  const { connections, world, first, join, members } = await twoNodes();
  world.isFull = true;
  await expect(join('a')).rejects.toBeInstanceOf(Unavailable);
  await world.settle();
  const before = world.calls;
  await first.backplane.depart('r', 'a', 'disconnect');
  await world.pass(3000);
  // Only renewals of the leases.
  expect(world.calls - before).toBeLessThanOrEqual(2);
  expect(world.records.size).toBe(0);
  world.isFull = false;
  await join('a');
  expect(connections.take('a')).toEqual(['room_joined initiator']);
  expect(members()).toEqual(['a']);
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
  first.fate = (call) => {
    if (call === 'set' && isFirst) {
      isFirst = false;
      world.clock.advance(2 * LEASE_MS);
    }
    return 'fine';
  };
  expect(await join('a')).toBe(true);
  expect(first.backplane.lease.id).not.toBe(id);
  const [member] = world.record('r').members;
  expect(member).toMatchObject({ connectionId: 'a', node: first.backplane.lease.id });
});

test('an internal error is not an outage, and is logged', async () => {
  const { first, world, join, log } = await twoNodes();
  const fault = new TypeError('a fault of ours');
  first.store.compareAndSet = () => {
    throw fault;
  };
  await expect(join('a')).rejects.toBe(fault);
  first.backplane.resubscribed();
  await world.settle();
  expect(log.lines().map(({ err }) => (err as Error | undefined)?.message)).toContain(
    fault.message,
  );
});

test('a room that is created again after its record expired has a later version and generation', async () => {
  const { world, pair } = await twoNodes();
  await pair('a', 'b');
  const before = world.record('r');
  for (const id of ['a', 'b']) await world.backplaneOf(id).depart('r', id, 'leave');
  await world.settle();
  world.records.clear();
  await world.pass(500);
  await pair('a', 'b');
  const after = world.record('r');
  expect(after.version).toBeGreaterThan(before.version);
  expect(after.generation).toBeGreaterThan(before.generation);
});
