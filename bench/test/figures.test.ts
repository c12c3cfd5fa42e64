// Figures and judgments from measured values.
import { describe, expect, test } from 'vitest';
import { Histogram } from '../src/figures/histogram.js';
import { type Figure, figureOf, type Row } from '../src/figures/row.js';
import { GOALS, hasFallen, judge } from '../src/goals.js';
import { judgeable } from '../src/judgeable.js';
import { SCENARIO_NAMES } from '../src/scenarios/all.js';

const figure = (rounds: number[], more: Partial<Figure> = {}): Figure => ({
  ...figureOf(
    rounds.map((value) => ({ value, loadCpu: 0.5, serverCpu: 1, crowded: 0, errors: 0 })),
  ),
  ...more,
});
const row = (figures: Row['figures'], id = 'a'): Row => ({
  id,
  label: 'a',
  unit: 'messages/s',
  better: 'more',
  figures,
});

describe('a histogram', () => {
  test('has percentiles within one per cent, from microseconds to minutes', () => {
    for (const unit of [0.001, 1, 60]) {
      const histogram = new Histogram();
      for (let n = 1; n <= 1000; n++) histogram.add(n * unit);
      for (const [share, value] of [
        [0.5, 500],
        [0.99, 990],
        [0.999, 999],
      ] as const) {
        expect(Math.abs(histogram.percentile(share) / (value * unit) - 1)).toBeLessThan(0.01);
      }
      expect(histogram.summary()).toMatchObject({ count: 1000 });
    }
  });
});

describe('goals', () => {
  test('refer to existing scenarios, and describe what is required', () => {
    for (const { row, atLeast, atMost, floor, noErrors } of GOALS) {
      expect(SCENARIO_NAMES, row).toContain(row.split('/')[0]);
      expect([atLeast, atMost, floor, noErrors].some((bound) => bound !== undefined)).toBe(true);
    }
  });

  test('are met by the median of the ratios of the rounds', () => {
    const rows = [row({ couplet: figure([13, 26, 10]), peerjs: figure([10, 20, 20]) })];
    const goal = { row: 'a', against: 'peerjs' as const, atLeast: 1.3 };
    expect(judge(rows, [goal])).toEqual([{ goal, value: 1.3, met: true }]);
    expect(judge(rows, [{ ...goal, atLeast: 1.31 }])).toMatchObject([{ met: false }]);
  });

  test('are not met by a row with errors', () => {
    const rows = [row({ couplet: figure([5], { errors: 1 }) })];
    expect(judge(rows, [{ row: 'a', atMost: 10 }])).toMatchObject([{ value: 5, met: false }]);
  });

  test('may require only that there are no errors', () => {
    const goal = { row: 'a', noErrors: true as const };
    const judged = (errors: number) => judge([row({ couplet: figure([5], { errors }) })], [goal]);
    expect([judged(0), judged(2)]).toMatchObject([[{ met: true }], [{ value: 2, met: false }]]);
  });

  test('leave out rows that were not measured', () => {
    expect(judge([row({})], [{ row: 'a', atMost: 10 }])).toEqual([]);
  });
});

describe('the check', () => {
  test('fails if a ratio is below its floor by more than the rounds differ', () => {
    expect(hasFallen([0.8, 0.81, 0.82], 0.9)).toBe(true);
    expect(hasFallen([0.7, 0.81, 0.95], 0.9)).toBe(false);
    // One disturbed round changes the judgment of the others in neither direction.
    expect(hasFallen([0.8, 0.81, 0.82, 0.8, 3], 0.9)).toBe(true);
    expect(hasFallen([0.95, 0.96, 0.97, 0.95, 0.1], 0.9)).toBe(false);
    expect(hasFallen([0.95, 0.96, 0.97], 0.9)).toBe(false);
  });

  test('leaves out rounds in which a process was kept from its core', () => {
    const couplet = figure([10, 10, 10, 1], { crowded: [0, 0, 0, 0.5] });
    const rows = row({ couplet, peerjs: figure([10, 10, 10, 10]) });
    expect(judgeable(rows, 'peerjs', false)).toEqual({ ratios: [1, 1, 1], by: 'time' });
  });

  test('uses CPU time if too few rounds are left', () => {
    const couplet = figure([5, 4, 10], { crowded: [0.4, 0.8, 0], serverCpu: [0.5, 0.4, 1] });
    const rows = row({ couplet, peerjs: figure([10, 10, 10]) });
    expect(judgeable(rows, 'peerjs', false)).toEqual({ ratios: [1, 1, 1], by: 'CPU time' });
  });

  test('leaves out rounds in which one of them hardly ran', () => {
    const couplet = figure([10, 10, 1], { crowded: [0.9, 0.9, 0.9], serverCpu: [1, 1, 0.1] });
    const rows = row({ couplet, peerjs: figure([10, 0, 10]) });
    expect(judgeable(rows, 'peerjs', false)).toEqual({ ratios: [1], by: 'CPU time' });
  });

  test('uses elapsed time if the system does not provide the CPU time', () => {
    const couplet = figure([5, 2], { crowded: [null, null], serverCpu: [null, null] });
    const rows = row({ couplet, peerjs: figure([10, 10]) });
    expect(judgeable(rows, 'peerjs', false)).toEqual({ ratios: [0.5, 0.2], by: 'time' });
  });
});
