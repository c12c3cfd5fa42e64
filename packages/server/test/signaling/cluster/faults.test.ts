// A room whose members live on two nodes, and what goes wrong: a node dies, is paused, is cut off, does not hear, forgets.
import { describe, expect, onTestFinished, test } from 'vitest';
import { Unavailable } from '../../../src/platform/http-errors.js';
import {
  type ClusterNode,
  FakeNodes,
  LEASE_MS,
  RecordingConnections,
} from '../../support/cluster-nodes.js';

const seat = (connectionId: string, deviceId: string | null = null) => ({ connectionId, deviceId });

/** `a` and `c` live on the first node, `b` and `d` on the second. */
async function twoNodes() {
  const connections = new RecordingConnections();
  const world = new FakeNodes(connections, 2);
  onTestFinished(() => world.close());
  for (const [id, home] of Object.entries({ a: 0, b: 1, c: 0, d: 1 })) world.homes.set(id, home);
  const [first, second] = world.nodes as [ClusterNode, ClusterNode];
  await world.settle();
  const join = (id: string, deviceId: string | null = null, roomId = 'r') =>
    world.backplaneOf(id).join(roomId, seat(id, deviceId), null, null);
  /** Two in a room, with all that was said about it taken. */
  const pair = async (one: string, other: string) => {
    await join(one);
    await join(other);
    await world.settle();
    connections.take(one);
    connections.take(other);
  };
  const members = () =>
    world.cluster.record('r').state.members.map(({ connectionId }) => connectionId);
  return { connections, world, first, second, join, pair, members };
}

/** Takes all calls as if nobody were there. */
function cut(node: ClusterNode): void {
  node.link.fate = () => 'refused';
  node.link.receive = undefined;
}

function mend(node: ClusterNode): void {
  node.link.fate = () => 'fine';
  node.link.receive = (text) => node.backplane.receive(text);
  node.backplane.heardAgain();
}

/** The last renewal was up to a third of a lease before the end; others look as often. */
const BOUND_MS = LEASE_MS + LEASE_MS / 3 + 500;

describe('a node that dies', () => {
  test('is found out within a lease and a third of one, and its members’ peers are told', async () => {
    const { connections, world, second, pair, members } = await twoNodes();
    await pair('a', 'b');
    world.pause(second);
    await world.pass(BOUND_MS);
    expect(connections.take('a')).toEqual(['peer_disconnected']);
    expect(connections.seats.get('a')).toMatchObject({ roomId: 'r', peerId: null });
    expect(members()).toEqual(['a']);
  });

  test('leaves no seat taken: who comes after the lease has run out gets it', async () => {
    const { connections, world, second, join, pair } = await twoNodes();
    await pair('b', 'd');
    world.pause(second);
    await world.pass(LEASE_MS + 500);
    expect(await join('a')).toBe(true);
    expect(connections.take('a')).toEqual(['room_joined initiator']);
  });

  test('between writing a change and telling of it leaves nobody behind', async () => {
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

describe('a node that is paused beyond its lease', () => {
  test('acts on no old seat before it has asked: what its members say is held, and then dropped', async () => {
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

  test('claims its seats again and disturbs nobody where nobody has noticed', async () => {
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

  test('gets its seats back, and both are told, where the peer was told of its end', async () => {
    const { connections, world, first, pair } = await twoNodes();
    await pair('a', 'b');
    world.pause(first);
    await world.pass(BOUND_MS);
    world.resume(first);
    await world.pass(1000);
    expect(connections.take('b')).toEqual(['peer_disconnected', 'room_ready initiator']);
    expect(connections.take('a')).toEqual(['peer_disconnected', 'room_ready responder']);
  });

  test('takes no seat over from who has come in its place', async () => {
    const { connections, world, first, join } = await twoNodes();
    await join('a', 'phone');
    world.pause(first);
    await world.pass(BOUND_MS);
    // The same phone, by another network.
    expect(await join('b', 'phone')).toBe(true);
    await world.settle();
    world.resume(first);
    await world.pass(1000);
    expect(connections.take('a').at(-1)).toBe('close replaced');
    expect(connections.take('b')).toEqual(['room_joined initiator']);
    expect(connections.seats.get('b')).toMatchObject({ roomId: 'r', peerId: null });
  });

  test('takes no seat from which its device has gone by another connection', async () => {
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

  test('nor one where that connection is with a node that has died since', async () => {
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

describe('a node that is cut off', () => {
  test('keeps forwarding between its own members, parts the others, and heals by itself', async () => {
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

  test('for so short that its lease still runs: who was parted meets anew, on both sides', async () => {
    const { connections, world, first, second, pair } = await twoNodes();
    await pair('a', 'b');
    cut(first);
    // Its own clock alone runs out: the registry and the other node notice nothing.
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

  test('lets go at once who leaves, and tells the others when it can', async () => {
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

  test('and whose member comes back before its seat was given up: its peer sees it go and come', async () => {
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

describe('an answer that never came', () => {
  test.each(['lost', 'refused'] as const)(
    'to a join is `unavailable`, and the seat is free again (%s)',
    async (fate) => {
      const { connections, world, first, join, members } = await twoNodes();
      first.link.fate = (call) => (call === 'set' ? fate : 'fine');
      await expect(join('a')).rejects.toBeInstanceOf(Unavailable);
      first.link.fate = () => 'fine';
      expect(connections.take('a')).toEqual([]);
      first.backplane.heardAgain();
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
    second.backplane.heardAgain();
    await world.settle();
    expect(connections.take('a')).toEqual(['peer_disconnected']);
  });
});

describe('a change that failed although the lease runs', () => {
  test('is made soon after, without anything else happening', async () => {
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

  test('takes nobody for dead whom it could not ask about', async () => {
    const { connections, world, first, second, pair, join, members } = await twoNodes();
    await pair('a', 'c');
    // The first has a new lease, of which the second has not heard yet, and now cannot.
    world.cluster.leases.delete(first.backplane.lease.id);
    await first.backplane.lease.ask();
    await world.settle();
    second.link.fate = (call) => (call === 'renew' ? 'refused' : 'fine');
    await expect(join('b')).rejects.toBeInstanceOf(Unavailable);
    expect(members()).toEqual(['a', 'c']);
    expect([connections.take('a'), connections.take('c')]).toEqual([[], []]);
  });
});

test('a join under way when its peer’s node dies is told so soon after', async () => {
  const { connections, world, first, second, join, members } = await twoNodes();
  await join('a');
  await world.settle();
  let answer: () => void = () => {};
  const held = new Promise<void>((resolve) => (answer = resolve));
  // Its write is done, and the answer on its way.
  second.link.delay = async () => {
    if (members().length === 2) await held;
  };
  const joining = join('b');
  while (members().length < 2) await new Promise<void>((done) => setImmediate(done));
  second.link.delay = async () => {};
  world.cluster.leases.delete(first.backplane.lease.id);
  world.pause(first);
  await second.backplane.lease.ask();
  answer();
  await joining;
  await world.settle();
  expect(connections.take('b').at(-1)).toBe('peer_disconnected');
});

test('who has moved hears nothing more of whom it left, even before that one is told', async () => {
  const { connections, world, first, pair } = await twoNodes();
  await pair('a', 'c');
  const moving = first.backplane.join('new', seat('a'), null, 'r');
  while (connections.seats.get('a')?.roomId !== 'new') {
    await new Promise<void>((done) => setImmediate(done));
  }
  first.backplane.forward('c', 'a', 'from the old room');
  await moving;
  await world.settle();
  expect(connections.frames('a')).toEqual([]);
  expect(connections.take('c')).toEqual(['peer_left']);
});

test('who has moved hears nothing of its old room by a claim of it that was under way', async () => {
  const { connections, world, first, pair } = await twoNodes();
  await pair('a', 'c');
  world.pause(first);
  await world.pass(BOUND_MS);
  world.resume(first);
  const oneTurn = () => new Promise<void>((done) => setImmediate(done));
  let answer: () => void = () => {};
  const held = new Promise<void>((resolve) => (answer = resolve));
  let isClaiming = false;
  first.link.fate = (call) => {
    isClaiming = call === 'set';
    first.link.delay = isClaiming ? () => held : oneTurn;
    return 'fine';
  };
  // Waits for the seats of the old room, which are claimed again.
  first.backplane.forward('c', 'a', 'from the old room');
  while (!isClaiming) await oneTurn();
  first.link.fate = () => 'fine';
  first.link.delay = oneTurn;
  const moving = first.backplane.join('new', seat('a'), null, 'r');
  while (connections.seats.get('a')?.roomId !== 'new') await oneTurn();
  answer();
  await moving;
  await world.settle();
  expect(connections.frames('a')).toEqual([]);
  expect(connections.take('a')).toEqual(['room_joined initiator']);
  expect(connections.take('c')).toEqual(['peer_left']);
});

test('a take-over that may have been made and is undone turns no roles', async () => {
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
  first.backplane.heardAgain();
  await first.backplane.lease.ask();
  await world.pass(1500);
  expect(members()).toEqual(['a', 'c']);
  expect([connections.take('a'), connections.take('c')]).toEqual([[], []]);
});

describe('news that never came', () => {
  test('is missed at the next, by its number', async () => {
    const { connections, world, first, pair, join } = await twoNodes();
    await pair('a', 'b');
    first.link.receive = () => {};
    await world.backplaneOf('b').depart('r', 'b', 'leave');
    await world.settle();
    first.link.receive = (text) => first.backplane.receive(text);
    expect(connections.take('a')).toEqual([]);
    await join('c', null, 'elsewhere');
    await join('d', null, 'elsewhere');
    await world.settle();
    expect(connections.take('a')).toEqual(['peer_disconnected']);
    expect(first.backplane.counters.batchesMissed).toBe(1);
  });

  test('is made up for when the inbox hears again', async () => {
    const { connections, world, first, pair, join } = await twoNodes();
    await pair('a', 'b');
    first.link.receive = () => {};
    await world.backplaneOf('b').depart('r', 'b', 'leave');
    await join('d');
    await world.settle();
    expect(connections.take('a')).toEqual([]);
    mend(first);
    await world.settle();
    expect(connections.take('a')).toEqual(['peer_disconnected', 'room_ready initiator']);
  });

  test('is made up for before a frame that only makes sense after it', async () => {
    const { connections, world, first, second, pair, join } = await twoNodes();
    await pair('a', 'b');
    first.link.receive = () => {};
    await world.backplaneOf('b').depart('r', 'b', 'leave');
    await join('b');
    await world.settle();
    first.link.receive = (text) => first.backplane.receive(text);
    second.backplane.forward('b', 'a', 'anew');
    await world.settle();
    expect(connections.take('a')).toEqual(['peer_disconnected', 'room_ready initiator']);
    expect(connections.frames('a')).toEqual(['anew']);
  });
});

describe('a node that does not listen for a while', () => {
  test('gets what was said meanwhile, in order, when it does', async () => {
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
    expect(first.backplane.counters.batchesMissed).toBe(0);
  });
});

describe('a register that forgets', () => {
  test('everything is filled again by who sits there', async () => {
    const { connections, world, first, pair, members } = await twoNodes();
    await pair('a', 'c');
    world.cluster.records.clear();
    world.cluster.leases.clear();
    first.backplane.heardAgain();
    await world.pass(LEASE_MS);
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
    first.backplane.heardAgain();
    await world.settle();
    expect(members()).toEqual(['a']);
    expect(connections.take('a')).toEqual([]);
  });

  test('everything keeps the roles of two of whom one had taken a seat over', async () => {
    const { connections, world, first, join, members } = await twoNodes();
    world.homes.set('e', 0);
    await join('a', 'phone');
    await join('c', 'tablet');
    await join('e', 'phone');
    await world.settle();
    for (const id of ['a', 'c', 'e']) connections.take(id);
    world.cluster.records.clear();
    world.cluster.leases.clear();
    first.backplane.heardAgain();
    await world.pass(LEASE_MS);
    expect(members()).toEqual(['e', 'c']);
    expect([connections.take('e'), connections.take('c')]).toEqual([[], []]);
  });

  test('that two of another node have left lets in who knocks twice', async () => {
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

  test('its last changes keeps no seat for one who has left', async () => {
    const { connections, world, first, second, pair, members } = await twoNodes();
    await pair('a', 'b');
    const before = new Map(world.cluster.records);
    await second.backplane.depart('r', 'b', 'leave');
    await world.settle();
    connections.take('a');
    world.cluster.records = before;
    first.backplane.heardAgain();
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
      first.backplane.heardAgain();
      await world.settle();
      expect(connections.take('a')).toEqual(['room_joined initiator', 'close try_again_later']);
      expect(members()).toEqual(['d']);
    },
  );
});

test('two who sit on one node talk without a call to anything shared', async () => {
  const { connections, world, first, pair } = await twoNodes();
  await pair('a', 'c');
  const { calls } = world.cluster;
  for (let n = 0; n < 1000; n++) first.backplane.forward('a', 'c', `frame ${n}`);
  await world.settle();
  expect(connections.frames('c')).toHaveLength(1000);
  expect(world.cluster.calls).toBe(calls);
});

test('a frame for a connection that has gone is dropped, and counted', async () => {
  const { connections, world, second, pair } = await twoNodes();
  await pair('a', 'b');
  const leaving = world.backplaneOf('a').depart('r', 'a', 'disconnect');
  second.backplane.forward('b', 'a', 'too late');
  await leaving;
  await world.settle();
  expect(connections.frames('a')).toEqual([]);
  expect(connections.dropped).toBe(1);
  expect(world.node(0).backplane.counters.frameDrops.parted).toBe(1);
});

test('a node that ends gives up its lease, and survivors need not wait for it to run out', async () => {
  const { connections, world, second, pair } = await twoNodes();
  await pair('a', 'b');
  await second.backplane.depart('r', 'b', 'disconnect');
  await second.backplane.close();
  expect([...world.cluster.leases.keys()]).toEqual(['n0.1']);
  expect(connections.take('a')).toEqual(['peer_disconnected']);
});
