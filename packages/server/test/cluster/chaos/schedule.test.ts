// The schedule of faults: every kind soon, and no two at one node.
import { expect, test } from 'vitest';
import { ENGINE_FAULTS } from './history.js';
import { ROUNDS_OF_ALL, ROUNDS_OF_ALL_REDIS, type Round, schedule } from './schedule.js';

const kindsOf = (all: Round[]) =>
  [...new Set(all.flatMap(({ strikes }) => strikes.map(({ what }) => what)))].sort();

test('for any seed, the first rounds have every kind of fault, and never two at one node', () => {
  const ofNodes = ['cut', 'kill', 'pause', 'stop'];
  for (let seed = 0; seed < 50; seed++) {
    const all = schedule(seed, { nodes: 3, leaseMs: 4000, redis: true });
    const rounds = Array.from({ length: 20 }, () => all.next().value as Round);
    expect(kindsOf(rounds.slice(0, ROUNDS_OF_ALL))).toEqual(expect.arrayContaining(ofNodes));
    const soon = rounds.slice(0, ROUNDS_OF_ALL_REDIS);
    expect(kindsOf(soon)).toEqual([...ofNodes, ...ENGINE_FAULTS, 'burst'].sort());
    for (const { strikes } of rounds) {
      const nodes = strikes.flatMap((one) =>
        'node' in one && one.what !== 'burst' ? [one.node] : [],
      );
      expect(new Set(nodes).size).toBe(nodes.length);
    }
  }
});
