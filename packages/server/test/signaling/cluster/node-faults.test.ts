// A room with members on two nodes, and the faults of a node: death, pause, partition, lost subscription, shutdown.
import { describe, expect, test } from 'vitest';
import { Unavailable } from '../../../src/base/failures.js';
import { LEASE_MS } from '../../support/cluster-nodes.js';
import { BOUND_MS, cut, mend, seat, twoNodes } from '../../support/two-nodes.js';

describe('a node that dies', () => {
  test('is detected within a lease and a third, and its members’ peers are told', async () => {
    const { connections, world, second, pair, members } = await twoNodes();
    await pair('a', 'b');
    world.pause(second);
    await world.pass(BOUND_MS);
    expect(connections.take('a')).toEqual(['peer_disconnected']);
    expect(connections.seats.get('a')).toMatchObject({ roomId: 'r', peerId: null });
    expect(members()).toEqual(['a']);
  });

  test('leaves no seat taken: a join after the expiry of the lease gets it', async () => {
    const { connections, world, second, join, pair } = await twoNodes();
    await pair('b', 'd');
    world.pause(second);
    await world.pass(LEASE_MS + 500);
    expect(await join('a')).toBe(true);
    expect(connections.take('a')).toEqual(['room_joined initiator']);
  });

  test('between the write of a change and its update leaves no member uninformed', async () => {
    const { connections, world, second, pair, join } = await twoNodes();
    await pair('a', 'b');
    second.link.fate = (call) => (call === 'publish' ? 'refused' : 'fine');
    await world.backplaneOf('b').depart('r', 'b', 'leave');
    await join('d');
    world.pause(second);
    await world.pass(BOUND_MS);
    expect(connections.take('a')).toEqual(['peer_disconnected']);
    expect(connections.seats.get('a')).toMatchObject({ peerId: null });
  });
});

test('the death of a node costs a read of each room with a member of it, and of no other', async () => {
  const { world, first, second, pair } = await twoNodes();
  await pair('a', 'b');
  for (let n = 0; n < 200; n++) {
    await first.backplane.join(`own${n}`, seat(`own${n}`), null, null);
  }
  await world.settle();
  let reads = 0;
  first.link.fate = (call) => {
    if (call === 'read') reads += 1;
    return 'fine';
  };
  world.pause(second);
  await world.pass(BOUND_MS);
  expect(reads).toBe(1);
});

/** Measures the turns of the event loop. Returns a function that stops and returns the processor time of the longest turn. */
function longestTurn(): () => number {
  let isOver = false;
  let longestMs = 0;
  let before = process.cpuUsage();
  const measureTurn = () => {
    const { user, system } = process.cpuUsage(before);
    longestMs = Math.max(longestMs, (user + system) / 1000);
    before = process.cpuUsage();
    if (!isOver) setImmediate(measureTurn);
  };
  setImmediate(measureTurn);
  return () => {
    isOver = true;
    return longestMs;
  };
}

test('10,000 departures while the record store is unreachable never block the event loop', async () => {
  const { world, first } = await twoNodes();
  const ids = Array.from({ length: 10_000 }, (_, n) => `m${n}`);
  /** Roughly as many as the event loop reads from in one turn. */
  const groups = Array.from({ length: 10 }, (_, n) => ids.slice(n * 1000, (n + 1) * 1000));
  for (const group of groups) {
    await Promise.all(group.map((id) => first.backplane.join(`r${id}`, seat(id), null, null)));
  }
  const end = longestTurn();
  cut(first);
  await world.pass(BOUND_MS);
  const departures: Promise<void>[] = [];
  for (const group of groups) {
    departures.push(...group.map((id) => first.backplane.depart(`r${id}`, id, 'disconnect')));
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  await Promise.all(departures);
  mend(first);
  await world.pass(LEASE_MS);
  // With 18,000 it took 7 s when each departure counted the seats of all rooms.
  expect(end()).toBeLessThan(250);
  const isTaken = (id: string) => world.cluster.record(id).members.length > 0;
  expect([...world.cluster.records.keys()].filter(isTaken)).toEqual([]);
});

describe('a node that is paused beyond its lease', () => {
  test('acts on no old seat before it asks Redis: frames of its members are held, then dropped', async () => {
    const { connections, world, first, second, pair, join } = await twoNodes();
    await pair('a', 'b');
    world.pause(first);
    await world.pass(BOUND_MS);
    expect(connections.take('b')).toEqual(['peer_disconnected']);
    expect(await join('d')).toBe(true);
    await world.settle();
    connections.take('b');

    world.resume(first);
    first.backplane.forward('a', 'b', 'from the past');
    await world.settle();
    expect(connections.take('a')).toEqual(['close try_again_later']);
    expect(connections.frames('b')).toEqual([]);
    expect(first.backplane.counters.frameDrops.lease).toBe(1);
    expect(first.backplane.counters.refusedReclaims).toBe(1);
    second.backplane.forward('b', 'd', 'in the present');
    expect(connections.frames('d')).toEqual(['in the present']);
  });

  test('claims its seats again without messages if no other node detected the pause', async () => {
    const { connections, world, first, pair, members } = await twoNodes();
    await pair('a', 'c');
    world.pause(first);
    await world.pass(BOUND_MS);
    world.resume(first);
    for (const n of [1, 2, 3]) first.backplane.forward('a', 'c', `frame ${n}`);
    expect(connections.frames('c')).toEqual([]);
    await world.settle();
    expect(connections.frames('c')).toEqual(['frame 1', 'frame 2', 'frame 3']);
    expect([connections.take('a'), connections.take('c')]).toEqual([[], []]);
    expect(members()).toEqual(['a', 'c']);
    expect(first.backplane.lease.losses).toBe(1);
    expect(first.backplane.counters.reclaims).toBe(2);
  });

  test('gets its seats back if the peer was told of its end, and both members are told', async () => {
    const { connections, world, first, pair } = await twoNodes();
    await pair('a', 'b');
    world.pause(first);
    await world.pass(BOUND_MS);
    world.resume(first);
    await world.pass(1000);
    expect(connections.take('b')).toEqual(['peer_disconnected', 'room_ready initiator']);
    expect(connections.take('a')).toEqual(['peer_disconnected', 'room_ready responder']);
  });

  test('takes no seat over from a later member', async () => {
    const { connections, world, first, join } = await twoNodes();
    await join('a', 'phone');
    world.pause(first);
    await world.pass(BOUND_MS);
    // The same phone, on another network.
    expect(await join('b', 'phone')).toBe(true);
    await world.settle();
    world.resume(first);
    await world.pass(1000);
    expect(connections.take('a').at(-1)).toBe('close replaced');
    expect(connections.take('b')).toEqual(['room_joined initiator']);
    expect(connections.seats.get('b')).toMatchObject({ roomId: 'r', peerId: null });
  });

  test('takes no seat that its device has left by another connection', async () => {
    const { connections, world, first, second, join, members } = await twoNodes();
    await join('a', 'phone');
    await join('d');
    world.pause(first);
    await world.pass(BOUND_MS);
    expect(await join('b', 'phone')).toBe(true);
    await second.backplane.depart('r', 'b', 'leave');
    connections.take('d');
    world.resume(first);
    await world.pass(1000);
    expect(connections.take('a').at(-1)).toBe('close replaced');
    expect(connections.take('d')).toEqual([]);
    expect(members()).toEqual(['d']);
  });

  test('takes no such seat either if that connection was on a node that has died', async () => {
    const { connections, world, first, second, join, members } = await twoNodes();
    await join('a', 'phone');
    world.pause(first);
    await world.pass(BOUND_MS);
    expect(await join('b', 'phone')).toBe(true);
    world.pause(second);
    await world.pass(BOUND_MS);
    world.resume(first);
    await world.pass(1000);
    expect(connections.take('a').at(-1)).toBe('close replaced');
    expect(members()).toEqual([]);
  });
});

describe('a partitioned node', () => {
  test('forwards between its own members, separates the others, and recovers by itself', async () => {
    const { connections, world, first, pair, join } = await twoNodes();
    await pair('a', 'b');
    await join('c', null, 'own');
    world.homes.set('e', 0);
    await join('e', null, 'own');
    await world.settle();
    for (const id of ['c', 'e']) connections.take(id);

    cut(first);
    await world.pass(BOUND_MS);
    expect(connections.take('a')).toEqual(['peer_disconnected']);
    expect(connections.take('b')).toEqual(['peer_disconnected']);
    first.backplane.forward('c', 'e', 'still here');
    expect(connections.frames('e')).toEqual(['still here']);
    await expect(join('x')).rejects.toBeInstanceOf(Unavailable);
    await expect(first.backplane.check()).rejects.toThrow();

    mend(first);
    await world.pass(1000);
    expect(connections.take('a')).toEqual(['room_ready responder']);
    expect(connections.take('b')).toEqual(['room_ready initiator']);
    expect([connections.take('c'), connections.take('e')]).toEqual([[], []]);
    await first.backplane.check();
  });

  test('reunites separated peers on both sides if its lease has not expired', async () => {
    const { connections, world, first, second, pair } = await twoNodes();
    await pair('a', 'b');
    cut(first);
    // The lease expires only by its own clock, not for the registry and the other node.
    first.clock.advance(LEASE_MS);
    await world.settle();
    expect(connections.take('a')).toEqual(['peer_disconnected']);
    mend(first);
    await world.settle();
    expect(connections.take('a')).toEqual(['room_ready initiator']);
    expect(connections.take('b')).toEqual(['peer_disconnected', 'room_ready responder']);
    second.backplane.forward('b', 'a', 'hello');
    await world.settle();
    expect(connections.frames('a')).toEqual(['hello']);
  });

  test('answers a leave at once, and tells other nodes when Redis is reachable', async () => {
    const { connections, world, first, pair, members } = await twoNodes();
    await pair('a', 'b');
    cut(first);
    await first.backplane.depart('r', 'a', 'leave');
    expect(connections.take('a')).toEqual(['left_room']);
    expect(members()).toEqual(['a', 'b']);
    mend(first);
    await world.pass(LEASE_MS / 2);
    expect(members()).toEqual(['b']);
    expect(connections.take('b')).toEqual(['peer_disconnected']);
  });

  test('tells the peer if a member comes back before its seat was given up', async () => {
    const { connections, world, first, second, pair, join, members } = await twoNodes();
    await pair('a', 'b');
    cut(first);
    await first.backplane.depart('r', 'a', 'leave');
    second.backplane.forward('b', 'a', 'before');
    mend(first);
    await join('a');
    await world.pass(2 * LEASE_MS);
    expect(members()).toEqual(['b', 'a']);
    expect(connections.take('b')).toEqual(['peer_disconnected', 'room_ready initiator']);
    expect(connections.frames('a')).toEqual([]);
  });
});

describe('a node without a subscription for a while', () => {
  test('gets the messages of that time, in order, when it subscribes again', async () => {
    const { connections, world, first, second, pair } = await twoNodes();
    await pair('a', 'b');
    const { receive } = first.link;
    first.link.receive = undefined;
    for (const n of [1, 2, 3]) {
      second.backplane.forward('b', 'a', `frame ${n}`);
      await world.pass(50);
    }
    expect(connections.frames('a')).toEqual([]);
    first.link.receive = receive;
    await world.pass(500);
    expect(connections.frames('a')).toEqual(['frame 1', 'frame 2', 'frame 3']);
    expect(first.backplane.counters.gaps).toBe(0);
  });
});

test('a node that shuts down releases its lease, so other nodes need not wait for its expiry', async () => {
  const { connections, world, first, second, pair } = await twoNodes();
  await pair('a', 'b');
  await second.backplane.depart('r', 'b', 'disconnect');
  await second.backplane.close();
  expect([...world.cluster.leases.keys()]).toEqual([first.backplane.lease.id]);
  expect(connections.take('a')).toEqual(['peer_disconnected']);
});

test('two nodes with one id both detect it, and neither is ready until one has stopped', async () => {
  const { world, first, log } = await twoNodes();
  const twin = world.start('n0');
  await world.pass(LEASE_MS / 2);
  for (const { backplane } of [first, twin]) {
    await expect(backplane.check()).rejects.toThrow('another node has the id of this one');
  }
  expect(log.lines().filter(({ msg }) => msg.startsWith('another node has'))).toHaveLength(2);
  await twin.backplane.close();
  await world.pass(LEASE_MS / 2);
  await first.backplane.check();
});
