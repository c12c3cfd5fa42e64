// A room with members on two nodes, and messages between them: lost or late updates, frames, moves.
import { expect, test } from 'vitest';
import { BOUND_MS, seat, stories, twoNodes } from '../../support/two-nodes.js';

stories(`
  a lost update is detected at the next update, by its number: a and b meet; first is deaf;
      b leaves; settle; first hears; a told nothing; c joins in elsewhere; d joins in elsewhere;
      settle; a told peer_left; first counts gaps 1
  a lost update is told before the answer to a repeated join: a and b meet; first is deaf;
      b leaves; a joins; a told peer_disconnected, room_joined initiator
  a lost update is replaced by a read after the next subscription: a and b meet; first is deaf;
      b leaves; d joins; settle; a told nothing; first is mended; settle;
      a told peer_disconnected, room_ready initiator
  a lost update is replaced by a read before a frame that depends on it: a and b meet;
      first is deaf; b leaves; b joins; settle; first hears; b to a: again; settle;
      a told peer_left, room_ready initiator; a heard again
  an update older than the known state of the room changes nothing: a and b meet;
      first keeps what comes; b leaves; d joins; settle; first resubscribes; settle;
      a told peer_disconnected, room_ready initiator; first gets what it kept; settle;
      a told nothing
  an update that is given up is replaced by a read of the receiver: a and b meet;
      first refuses publish; a leaves; pass 60000; b told nothing; first works; pass 2000;
      b told peer_disconnected
  a frame for a closed connection is dropped and counted: a and b meet;
      a hangs up & b to a: too late; settle; a heard nothing; dropped 1;
      first counts frameDrops.parted 1
  a frame is published again if only earlier ones are acknowledged: a and b meet; pass 2000;
      a to b: one; pass 100; second is deaf; a to b: two; pass 100; second hears; pass 5000;
      b heard one, two; a told nothing; b told nothing
  a frame is published again if the publication failed or was lost, and arrives once:
      a and b meet; first refuses publish; a to b: one; pass 50; first loses publish; pass 100;
      first works; pass 500; second is deaf; a to b: two; pass 500; second hears; a to b: three;
      pass 3000; b heard one, two, three; a told nothing; b told nothing
  a frame is published again without its acknowledgment, with later ones, and arrives once:
      a and b meet; pass 500; first refuses publish; b to a: one; pass 700; b to a: two; pass 700;
      pass 1500 with publications; a heard one, two; first works; pass 3000; a heard one, two;
      pass 3000 without publications
  publications to a dead node are bounded: a and b meet; second is cut; a to b: lost; pass 20000;
      e joins; pass 20000; pass 40000 without publications
  a frame that is given up ends the generation, and both are told: a and b meet;
      first refuses publish; a to b: lost; pass 60000;
      a told peer_disconnected, room_ready initiator; first works; pass 2000;
      b told peer_disconnected, room_ready responder; b heard nothing; b to a: hello;
      a to b: hello; pass 500; a heard hello; b heard hello
  the generation ends in both directions, even if Redis does not take that change yet:
      a and b meet; first refuses publish set; a to b: lost; pass 60000;
      b to a: of the ended generation; pass 500; a heard nothing; first works; pass 5000;
      a last told room_ready initiator; b last told room_ready responder
`);

test('a join in progress when its peer’s node dies is told soon after', async () => {
  const { connections, world, first, second, join, members } = await twoNodes();
  await join('a');
  await world.settle();
  let answer: () => void = () => {};
  const held = new Promise<void>((resolve) => (answer = resolve));
  // Its write is done, and the answer is in transit.
  second.delay = async () => {
    if (members().length === 2) await held;
  };
  const joining = join('b');
  while (members().length < 2) await new Promise<void>((done) => setImmediate(done));
  second.delay = async () => {};
  world.leases.delete(first.backplane.lease.id);
  first.pause();
  await second.backplane.lease.ask();
  answer();
  await joining;
  await world.settle();
  expect(connections.take('b').at(-1)).toBe('peer_disconnected');
});

test('a member that has moved gets no message of its old peer, even before the peer is told', async () => {
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

test('a member that has moved gets no message of its old room by a claim in progress', async () => {
  const { connections, world, first, pair } = await twoNodes();
  await pair('a', 'c');
  first.pause();
  await world.pass(BOUND_MS);
  first.resume();
  const oneTurn = () => new Promise<void>((done) => setImmediate(done));
  let answer: () => void = () => {};
  const held = new Promise<void>((resolve) => (answer = resolve));
  let isClaiming = false;
  first.fate = (call) => {
    isClaiming = call === 'set';
    first.delay = isClaiming ? () => held : oneTurn;
    return 'fine';
  };
  // Waits for the seats of the old room, which are claimed again.
  first.backplane.forward('c', 'a', 'from the old room');
  while (!isClaiming) await oneTurn();
  first.fate = () => 'fine';
  first.delay = oneTurn;
  const moving = first.backplane.join('new', seat('a'), null, 'r');
  while (connections.seats.get('a')?.roomId !== 'new') await oneTurn();
  answer();
  await moving;
  await world.settle();
  expect(connections.frames('a')).toEqual([]);
  expect(connections.take('a')).toEqual(['room_joined initiator']);
  expect(connections.take('c')).toEqual(['peer_left']);
});

test('messages between peers on one node call nothing shared', async () => {
  const { connections, world, first, pair } = await twoNodes();
  await pair('a', 'c');
  const { calls } = world;
  for (let n = 0; n < 1000; n++) first.backplane.forward('a', 'c', `frame ${n}`);
  await world.settle();
  expect(connections.frames('c')).toHaveLength(1000);
  expect(world.calls).toBe(calls);
});

test('a frame ends the generation if the queue is full', async () => {
  const { connections, world, first, pair } = await twoNodes();
  await pair('a', 'b');
  const frame = 'x'.repeat(1024 * 1024);
  for (let n = 0; n < 9; n++) first.backplane.forward('a', 'b', frame);
  await world.pass(3000);
  expect(connections.take('a')).toEqual(['peer_disconnected', 'room_ready initiator']);
  expect(connections.take('b')).toEqual(['peer_disconnected', 'room_ready responder']);
});

test('a frame that is given up after its sender has moved ends no generation of the new room', async () => {
  const { connections, world, first, second, pair } = await twoNodes();
  // The generation of the old room is later than that of the new one.
  second.clock.set(30_000);
  await pair('a', 'b');
  first.fate = (call) => {
    // Whenever a room is read.
    if (call === 'read') first.backplane.forward('a', 'c', 'in the new room');
    return call === 'publish' ? 'refused' : 'fine';
  };
  first.backplane.forward('a', 'b', 'lost');
  await first.backplane.join('new', seat('a'), null, 'r');
  await first.backplane.join('new', seat('c'), null, null);
  await world.pass(60_000);
  first.backplane.forward('a', 'c', 'in the new room');
  expect(connections.frames('c')).toContain('in the new room');
  expect(first.backplane.counters.frameDrops).toMatchObject({ unpublished: 1, parted: 0 });
});

test('an acknowledgment after the end of a node starts no timer', async () => {
  const { world, first, second, pair } = await twoNodes();
  await pair('a', 'b');
  await world.pass(2000);
  const acknowledgments: string[] = [];
  first.receive = (text) => acknowledgments.push(text);
  first.backplane.forward('a', 'b', 'one');
  await world.settle();
  await world.pass(500);
  second.receive = () => {};
  first.backplane.forward('a', 'b', 'two');
  await world.settle();
  await first.backplane.close();
  for (const text of acknowledgments) first.backplane.receive(text);
  expect(acknowledgments.length).toBeGreaterThan(0);
  expect(first.clock.pending).toBe(0);
});

test('a message in the format of another version is dropped, counted, and logged once', async () => {
  const { connections, first, second, world, pair, log } = await twoNodes();
  await pair('a', 'b');
  for (const text of ['p1|1|1\nf5|1|b|a\nhello', '[2,"n1",1,1,[]]\n', 'p1|1|1|a']) {
    first.backplane.receive(text);
  }
  expect(first.backplane.counters.unreadable).toBe(3);
  expect(log.lines().filter(({ msg }) => msg.includes('another version'))).toHaveLength(1);
  second.backplane.forward('b', 'a', 'still here');
  await world.settle();
  expect(connections.frames('a')).toEqual(['still here']);
});

test('items of one turn are one publication, or several of a limited size, in order', async () => {
  const { connections, second, world, pair } = await twoNodes();
  await pair('a', 'b');
  const large = Array.from({ length: 10 }, (_, n) => `${n}`.padEnd(100_000, 'x'));
  const small = Array.from({ length: 100 }, (_, n) => `frame ${n}`);
  for (const [frames, publications] of [
    [large, 5],
    [small, 1],
  ] as const) {
    const before = second.backplane.counters.batchesSent;
    for (const frame of frames) second.backplane.forward('b', 'a', frame);
    await world.settle();
    expect(second.backplane.counters.batchesSent - before).toBe(publications);
  }
  expect(connections.frames('a')).toEqual([...large, ...small]);
});
