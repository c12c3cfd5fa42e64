// The states of a lease, for each row of the table in docs/cluster.md.

import { FakeClock } from '@couplet/testkit/fake-clock';
import { describe, expect, test } from 'vitest';
import { NodeLease } from '../../../src/signaling/cluster/node-lease.js';
import { FakeCluster, type Link } from '../../support/fake-cluster.js';

const TTL_MS = 9000;

async function turns(count = 12): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise<void>((done) => setImmediate(done));
}

interface Holder {
  lease: NodeLease;
  link: Link;
  /** Time of the node; the registry's time advances with it. */
  clock: FakeClock;
  events: string[];
  pass(ms: number): Promise<void>;
}

async function hold(cluster?: FakeCluster, shared?: FakeClock): Promise<Holder> {
  const registryClock = shared ?? new FakeClock();
  const link = (cluster ?? new FakeCluster(registryClock)).link('p');
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

describe('a processId that was paused beyond its lease', () => {
  test('does not act before the registry has been asked', async () => {
    const { lease, link, clock } = await hold();
    let answer: () => void = () => {};
    link.delay = () => new Promise((resolve) => (answer = resolve));
    clock.pause(2 * TTL_MS);
    expect([lease.acts, lease.state]).toEqual([false, 'suspect']);
    await turns();
    expect(lease.acts).toBe(false);
    link.delay = async () => {};
    answer();
    await lease.verdict();
    expect(lease.acts).toBe(true);
  });

  test('keeps its lease if the registry still has it', async () => {
    // Only its own clock advanced: for the registry, hardly any time has passed.
    const { lease, clock, events } = await hold();
    clock.pause(2 * TTL_MS);
    expect(lease.acts).toBe(false);
    await lease.verdict();
    expect([lease.losses, lease.state]).toEqual([0, 'valid']);
    expect(events).toEqual(['regained']);
  });

  test('takes a new lease under a new id if the lease is lost', async () => {
    const registryClock = new FakeClock();
    const { lease, clock, events } = await hold(new FakeCluster(registryClock), registryClock);
    const { id } = lease;
    registryClock.advance(2 * TTL_MS);
    clock.pause(2 * TTL_MS);
    expect(lease.acts).toBe(false);
    await lease.verdict();
    expect([lease.losses, lease.state]).toEqual([1, 'valid']);
    expect(lease.id).not.toBe(id);
    expect(events).toEqual(['regained']);
  });
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

describe('an unreachable registry', () => {
  test('is not asked without a pause after the wall clock was set forwards and back', async () => {
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

  test('changes nothing while the lease runs', async () => {
    const { lease, link, events, pass } = await hold();
    link.fate = () => 'refused';
    await pass(TTL_MS / 2);
    expect([lease.state, lease.acts, events]).toEqual(['valid', true, []]);
  });

  test('makes the lease `away` after its expiry, reports it once, and is asked until it answers', async () => {
    const { lease, link, events, pass } = await hold();
    link.fate = () => 'refused';
    await pass(3 * TTL_MS);
    expect([lease.state, lease.acts, events]).toEqual(['away', true, ['away']]);
    link.fate = () => 'fine';
    await pass(TTL_MS / 4);
    expect([lease.losses, lease.state, events]).toEqual([1, 'valid', ['away', 'regained']]);
  });

  test('is asked at once when it is reported reachable again', async () => {
    const { lease, link, pass } = await hold();
    link.fate = () => 'refused';
    await pass(3 * TTL_MS);
    link.fate = () => 'fine';
    lease.hurry();
    await turns();
    expect(lease.state).toBe('valid');
  });
});

test('a lease that is missing in the registry is lost, regardless of the clocks', async () => {
  const cluster = new FakeCluster(new FakeClock());
  const { lease, events } = await hold(cluster);
  cluster.leases.clear();
  await lease.ask();
  expect([lease.losses, lease.state, events]).toEqual([1, 'valid', ['regained']]);
});

test('a stopped lease is released, and nothing more is asked', async () => {
  const cluster = new FakeCluster(new FakeClock());
  const { lease, pass } = await hold(cluster);
  await lease.stop();
  expect([...cluster.leases.keys()]).toEqual([]);
  const { calls } = cluster;
  await pass(3 * TTL_MS);
  expect(cluster.calls).toBe(calls);
});
