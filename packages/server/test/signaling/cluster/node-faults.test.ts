// A room with members on two nodes, and the faults of a node: death, pause, partition, lost subscription, shutdown.
import { expect, test } from 'vitest';
import { LEASE_MS } from '../../support/cluster-nodes.js';
import { BOUND_MS, seat, stories, twoNodes } from '../../support/two-nodes.js';

stories(`
  a dead node is detected within a lease and a third, and its members’ peers are told:
      a and b meet; second pauses; pass BOUND; a told peer_disconnected; a sits alone; members a
  a dead node keeps no seat after its lease has expired: b and d meet;
      second pauses; pass 10500; a joins = seated; a told room_joined initiator
  a death between the write of a change and its update leaves no member uninformed: a and b meet;
      second refuses publish; b leaves; d joins; second pauses; pass BOUND;
      a told peer_disconnected; a sits alone
  a node that was paused beyond its lease acts on no old seat before it asks Redis: a and b meet;
      first pauses; pass BOUND; b told peer_disconnected; d joins = seated; settle; read b;
      first resumes; a to b: from the past; settle; a told close try_again_later; b heard nothing;
      first counts frameDrops.lease 1; first counts refusedReclaims 1; b to d: in the present;
      d heard in the present
  a paused node claims its seats again without messages if no other node detected the pause:
      a and c meet; first pauses; pass BOUND; first resumes; a to c: one; a to c: two;
      c heard nothing; settle; c heard one, two; a told nothing; c told nothing; members a, c;
      first counts lease.losses 1; first counts reclaims 2
  a paused node gets its seats back if the peer was told of its end, and both members are told:
      a and b meet; first pauses; pass BOUND; first resumes; pass 1000;
      b told peer_disconnected, room_ready initiator;
      a told peer_disconnected, room_ready responder
  a paused node takes no seat over from a later member, such as the same phone on another network:
      a joins as phone; first pauses; pass BOUND; b joins as phone = seated; settle; first resumes;
      pass 1000; a last told close replaced; b told room_joined initiator; b sits alone
  a paused node takes no seat that its device has left by another connection:
      a joins as phone; d joins; first pauses; pass BOUND; b joins as phone = seated; b leaves;
      read d; first resumes; pass 1000; a last told close replaced; d told nothing; members d
  a paused node takes no seat whose later connection was on a node that has died:
      a joins as phone; first pauses; pass BOUND; b joins as phone = seated; second pauses;
      pass BOUND; first resumes; pass 1000; a last told close replaced; members nobody
  a partitioned node forwards between its own members, separates the others, and recovers by itself:
      a and b meet; c joins in own; e joins in own; settle; read c, e;
      first is cut; pass BOUND; a told peer_disconnected; b told peer_disconnected;
      c to e: still here; e heard still here; g joins = unavailable; first is not ready;
      first is mended; pass 1000; a told room_ready responder; b told room_ready initiator;
      c told nothing; e told nothing; first is ready
  a partitioned node reunites its peers if its lease has expired by its own clock alone:
      a and b meet; first is cut; first alone passes 10000; settle; a told peer_disconnected;
      first is mended; settle; a told room_ready initiator;
      b told peer_disconnected, room_ready responder; b to a: hello; settle; a heard hello
  a partitioned node answers a leave at once, and tells other nodes when Redis is reachable:
      a and b meet; first is cut; a leaves; a told left_room; members a, b; first is mended;
      pass 5000; members b; b told peer_disconnected
  a partitioned node tells the peer if a member comes back before its seat was given up:
      a and b meet; first is cut; a leaves; b to a: before; first is mended; a joins; pass 20000;
      members b, a; b told peer_disconnected, room_ready initiator; a heard nothing
  a node without a subscription for a while gets the messages of that time, in order, when it subscribes again:
      a and b meet; first is unsubscribed; b to a: one; pass 50; b to a: two; pass 50;
      b to a: three; pass 50; a heard nothing; first hears; pass 500; a heard one, two, three;
      first counts gaps 0
  a node that shuts down releases its lease, so other nodes need not wait for its expiry:
      a and b meet; b hangs up; second stops; first has the only lease; a told peer_disconnected
  a renewed lease stays valid: a and b meet; pass 100000; first has most of its lease;
      first counts lease.losses 0; a told nothing; b told nothing
  a node that was paused, by its own clock alone, keeps its lease if Redis still has it:
      a and c meet; first alone stands still 20000; a to c: one; c heard nothing; settle;
      c heard one; first counts lease.losses 0; a told nothing; c told nothing
  the wall clock reveals that the machine slept, and a clock set back changes nothing:
      a and c meet; first sets its clock by -86400000; a to c: one; c heard one;
      first sets its clock by 90000000; a to c: two; c heard one; settle; c heard one, two
  an unreachable Redis is not asked without a pause after the wall clock was set forwards and back:
      a and c meet; first refuses renew; first sets its clock by 3600000; a to c: one;
      first sets its clock by -3600000; settle; c heard one; first is not ready;
      g joins = unavailable; first works; pass 3000; first is ready; a told nothing; c told nothing
`);

test('the death of a node costs a read of each room with a member of it, and of no other', async () => {
  const { world, first, second, pair } = await twoNodes();
  await pair('a', 'b');
  for (let n = 0; n < 200; n++) {
    await first.backplane.join(`own${n}`, seat(`own${n}`), null, null);
  }
  await world.settle();
  let reads = 0;
  first.fate = (call) => {
    if (call === 'read') reads += 1;
    return 'fine';
  };
  second.pause();
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
  first.cut();
  await world.pass(BOUND_MS);
  const departures: Promise<void>[] = [];
  for (const group of groups) {
    departures.push(...group.map((id) => first.backplane.depart(`r${id}`, id, 'disconnect')));
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  await Promise.all(departures);
  first.mend();
  await world.pass(LEASE_MS);
  // With 18,000 it took 7 s when each departure counted the seats of all rooms.
  expect(end()).toBeLessThan(250);
  const isTaken = (id: string) => world.record(id).members.length > 0;
  expect([...world.records.keys()].filter(isTaken)).toEqual([]);
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
