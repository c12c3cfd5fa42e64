// The schedule: the same from the same seed, with every kind of fault soon.
import { expect, test } from 'vitest';
import { ENGINE_FAULTS } from './history.js';
import { Random } from './random.js';
import { ROUNDS_OF_ALL, ROUNDS_OF_ALL_REDIS, type Round, schedule } from './schedule.js';

const TERRAIN = { nodes: 3, leaseMs: 4000, redis: true, failover: true };

function rounds(seed: number, count: number, terrain = TERRAIN): Round[] {
  const all = schedule(seed, terrain);
  return Array.from({ length: count }, () => all.next().value as Round);
}

test('a seed gives the same schedule again, and another seed another one', () => {
  expect(rounds(1, 20)).toEqual(rounds(1, 20));
  expect(rounds(1, 20)).not.toEqual(rounds(2, 20));
});

function kindsOf(all: Round[]): string[] {
  return [...new Set(all.flatMap(({ strikes }) => strikes.map(({ what }) => what)))].sort();
}

test('the first rounds have every kind of fault, whatever the seed', () => {
  const ofNodes = ['cut', 'kill', 'pause', 'stop'];
  for (let seed = 0; seed < 50; seed++) {
    expect(kindsOf(rounds(seed, ROUNDS_OF_ALL))).toEqual(expect.arrayContaining(ofNodes));
    expect(kindsOf(rounds(seed, ROUNDS_OF_ALL_REDIS))).toEqual(
      [...ofNodes, ...ENGINE_FAULTS, 'burst'].sort(),
    );
  }
});

test('no node is struck twice in a round, and all pauses and cuts end', () => {
  for (const { strikes } of rounds(3, 200)) {
    const nodes = strikes.flatMap((strike) =>
      'node' in strike && strike.what !== 'burst' ? [strike.node] : [],
    );
    expect(new Set(nodes).size).toBe(nodes.length);
    for (const { forMs } of strikes) expect(forMs).toBeLessThan(3 * TERRAIN.leaseMs);
  }
});

test('where there is no Redis, nothing is done to it', () => {
  const embedded = { nodes: 1, leaseMs: 4000, redis: false, failover: false };
  expect(kindsOf(rounds(1, 50, embedded))).toEqual(['kill', 'pause', 'stop']);
});

test('a stream does not hang on the others', () => {
  const [one, again, other] = [new Random(1, 'a'), new Random(1, 'a'), new Random(1, 'b')];
  const numbers = Array.from({ length: 100 }, () => one.next());
  expect(Array.from({ length: 100 }, () => again.next())).toEqual(numbers);
  expect(Array.from({ length: 100 }, () => other.next())).not.toEqual(numbers);
  expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true);
  expect(Math.abs(numbers.reduce((sum, number) => sum + number) / 100 - 0.5)).toBeLessThan(0.1);
});
