// What a lease does that its node does not show: node-faults.test.ts has the others.

import { FakeClock } from '@couplet/testkit/fake-clock';
import { expect, test } from 'vitest';
import { NodeLease } from '../../../src/signaling/cluster/node-lease.js';
import { FakeCluster, type Link } from '../../support/fake-cluster.js';

const TTL_MS = 9000;

async function turns(): Promise<void> {
  for (let turn = 0; turn < 12; turn++) await new Promise<void>((done) => setImmediate(done));
}

interface Holder {
  lease: NodeLease;
  link: Link;
  /** Time of the node; the registry's time advances with it. */
  clock: FakeClock;
  events: string[];
  pass(ms: number): Promise<void>;
}

async function hold(): Promise<Holder> {
  const registryClock = new FakeClock();
  const link = new FakeCluster(registryClock).link('p');
  const clock = new FakeClock(registryClock.now());
  const events: string[] = [];
  const lease = new NodeLease({
    processId: 'p',
    registry: link.leases,
    clock,
    ttlMs: TTL_MS,
    onAnswer: () => {},
    onAway: () => events.push('away'),
    onRegained: () => events.push('regained'),
    onError: () => {},
  });
  lease.hurry();
  await turns();
  expect(events.splice(0)).toEqual(['regained']);
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 250) {
      registryClock.advance(250);
      clock.advance(250);
      await turns();
    }
  };
  return { lease, link, clock, events, pass };
}

test('a renewed lease stays valid, with most of it left at each renewal', async () => {
  const { lease, events, pass } = await hold();
  await pass(10 * TTL_MS);
  expect([lease.losses, lease.state, lease.acts, events]).toEqual([0, 'valid', true, []]);
  expect(lease.marginMs).toBeGreaterThan(TTL_MS * 0.5);
});

test('a process that was paused beyond its lease keeps its lease if the registry still has it', async () => {
  // Only its own clock advanced: for the registry, hardly any time has passed.
  const { lease, clock, events } = await hold();
  clock.pause(2 * TTL_MS);
  expect(lease.acts).toBe(false);
  await lease.verdict();
  expect([lease.losses, lease.state]).toEqual([0, 'valid']);
  expect(events).toEqual(['regained']);
});

test('the wall clock reveals that the machine slept, and a clock set back changes nothing', async () => {
  const { lease, clock } = await hold();
  clock.set(-24 * 3600 * 1000);
  expect(lease.acts).toBe(true);
  clock.set(25 * 3600 * 1000);
  expect(lease.acts).toBe(false);
  await lease.verdict();
  expect(lease.acts).toBe(true);
});

test('an unreachable registry is not asked without a pause after the wall clock was set forwards and back', async () => {
  const { lease, link, clock, events } = await hold();
  let calls = 0;
  // With an end, because the event loop would not go on.
  link.fate = () => (++calls < 1000 ? 'refused' : 'fine');
  clock.set(3600 * 1000);
  expect(lease.acts).toBe(false);
  clock.set(-3600 * 1000);
  await lease.verdict();
  expect([calls, lease.state, events]).toEqual([1, 'away', ['away']]);
});

test('an unreachable registry makes the lease `away` after its expiry, reports it once, and is asked until it answers', async () => {
  const { lease, link, events, pass } = await hold();
  link.fate = () => 'refused';
  await pass(3 * TTL_MS);
  expect([lease.state, lease.acts, events]).toEqual(['away', true, ['away']]);
  link.fate = () => 'fine';
  await pass(TTL_MS / 4);
  expect([lease.losses, lease.state, events]).toEqual([1, 'valid', ['away', 'regained']]);
});
