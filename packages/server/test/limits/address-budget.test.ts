// The budget of an address: fixed costs, bounded turns, bounded load per second, and no charge for stalls of the server.

import { FakeClock } from '@couplet/testkit/fake-clock';
import { expect, test } from 'vitest';
import { type AddressBudget, AddressBudgets } from '../../src/limits/address-budget.js';
import { Stalls } from '../../src/limits/event-loop-stalls.js';
import type { Logger } from '../../src/observability/logger.js';
import { Metrics } from '../../src/observability/metrics.js';

/** Milliseconds of load per second. A turn may spend 4 ms of it, and a burst may spend one second of it. */
const LOAD = 250;
const MS = 1000;

function budgets({ load = LOAD, lines = 10 } = {}) {
  const clock = new FakeClock();
  const stalls = new Stalls(clock);
  const logged: { fields: Record<string, unknown>; text: string }[] = [];
  const write = (fields: object, text: string) =>
    logged.push({ fields: fields as Record<string, unknown>, text });
  const log = { info: write, warn: write } as unknown as Logger;
  let ends: (() => void)[] = [];
  const all = new AddressBudgets({
    config: { maxLoadPerAddress: load, maxLogLinesPerAddress: lines },
    clock,
    stalls,
    log,
    turnEnd: (callback) => ends.push(callback),
  });
  const endTurn = () => {
    const due = ends;
    ends = [];
    for (const end of due) end();
  };
  return { all, clock, logged, endTurn };
}

/** A reader that spends a cost in each of its turns. */
const reader = (budget: AddressBudget, cost: number, log: string[], name: string) => ({
  release(): void {
    log.push(name);
    budget.charge(cost);
  },
});

test('a steady load at the limit is never refused', () => {
  const { all, clock, endTurn } = budgets();
  const budget = all.of('a');
  for (let turn = 0; turn < 10_000; turn++) {
    budget.charge((LOAD * MS) / 100);
    expect(budget.exhausted).toBe(false);
    endTurn();
    clock.advance(10);
  }
});

test('readers take turns: each waits for all others, and a turn is bounded', () => {
  const { all, endTurn } = budgets();
  const budget = all.of('a');
  const order: string[] = [];
  const wait = (name: string) => budget.wait(reader(budget, 3 * MS, order, name));
  for (const name of ['1', '2', '3', '4', '5']) wait(name);
  endTurn();
  expect(order).toEqual(['1', '2']);
  wait('1');
  endTurn();
  endTurn();
  expect(order).toEqual(['1', '2', '3', '4', '5', '1']);
});

test('requests that have waited for two seconds are refused, the oldest first', () => {
  const { all, clock, endTurn } = budgets();
  const budget = all.of('a');
  const order: string[] = [];
  budget.charge(10 * LOAD * MS);
  budget.wait({ release: () => order.push('socket goes on') });
  budget.wait({
    release: () => order.push('request goes on'),
    refuse: () => !!order.push('refused'),
  });
  endTurn();
  for (let second = 0; second < 3; second++) {
    clock.advance(1001);
    budget.charge(10 * LOAD * MS);
    endTurn();
  }
  expect(order).toEqual(['refused']);
  clock.advance(4000);
  endTurn();
  expect(order).toEqual(['refused', 'socket goes on']);
});

test('a burst may have the load of one second, and debt is bounded: the address is served soon after any flood', () => {
  const { all, clock, endTurn } = budgets();
  const budget = all.of('a');
  budget.charge(LOAD * MS);
  expect(budget.exhausted).toBe(false);
  budget.charge(1);
  expect(budget.exhausted).toBe(true);
  budget.charge(3600 * 1000 * MS);
  expect(budget.inDebt).toBe(true);
  endTurn();
  clock.advance(3100);
  endTurn();
  expect(budget.exhausted).toBe(false);
  expect(budget.held).toBe(false);
});

test('data that was sent during a stall of the server does not count against the address', () => {
  const { all, clock, endTurn } = budgets();
  const budget = all.of('a');
  clock.advance(10_000);
  clock.pause(5_000);
  // The allowed load of five seconds, all in the first turn after the stall.
  budget.charge(4 * LOAD * MS);
  expect(budget.exhausted).toBe(false);
  endTurn();
  budget.charge(10 * LOAD * MS);
  expect(budget.exhausted).toBe(true);
  // An address that comes later gets no credit for the stall.
  const later = all.of('b');
  clock.advance(4000);
  later.charge(LOAD * MS + 1);
  expect(later.exhausted).toBe(true);
});

test('dropped log lines and refusals are counted, and reported once a minute without an address', async () => {
  const { all, clock, logged } = budgets({ lines: 3 });
  const mayLog = (address: string, lines: number) =>
    Array.from({ length: lines }, () => all.of(address).mayLog()).filter((may) => may).length;
  expect(mayLog('192.0.2.1', 10)).toBe(3);
  expect(mayLog('192.0.2.2', 1)).toBe(1);
  const metrics = new Metrics();
  all.measure(metrics);
  all.refused += 2;
  clock.advance(60_000);
  const report = [
    { fields: { lines: 7 }, text: expect.stringMatching(/MAX_LOG_LINES_PER_ADDRESS/) },
    { fields: { refused: 2 }, text: expect.stringMatching(/MAX_LOAD_PER_ADDRESS/) },
  ];
  expect(logged).toEqual(report);
  expect(JSON.stringify(logged)).not.toContain('192.0.2');
  clock.advance(60_001);
  expect(logged).toEqual(report);
  expect(mayLog('192.0.2.1', 10)).toBe(3);
  expect(await metrics.text()).toContain('couplet_address_budget_refusals_total 2');
});

test('only idle addresses are removed', () => {
  const { all, clock, endTurn } = budgets();
  const used = all.of('used');
  used.sockets = 1;
  const logging = all.of('logging');
  logging.mayLog();
  for (let n = 0; n < 1000; n++) {
    all.of(`short ${n}`).charge(1);
    endTurn();
    clock.advance(1);
  }
  expect(all.size).toBeLessThan(20);
  expect(all.of('used')).toBe(used);
  expect(all.of('logging')).toBe(logging);
});
