// The model of rooms in a cluster keeps its invariants in every state, and loses one as soon as a part is left out.
import { expect, test } from 'vitest';
import { describeWith } from '../support/components.js';
import { temporaryFolder } from '../support/server.js';
import { type Bounds, search } from '../support/spin.js';

const folder = temporaryFolder();
/** A search of millions of states, on a machine that has other things to do. */
const PATIENCE_MS = 600_000;

describeWith(['spin', 'gcc'], 'the model of rooms in a cluster', () => {
  const searches: [string, Bounds][] = [
    ['a fault and a change of mind', { faults: 1, churn: 1 }],
    ['a fault while frames are under way', { faults: 1, churn: 0, frames: 2 }],
    ['comings and goings while frames are under way', { faults: 0, churn: 2, frames: 2 }],
  ];
  // Four times as many states, and minutes: `MODEL=deep npm test -- packages/server/test/model`.
  if (process.env.MODEL === 'deep') {
    searches.push(
      ['two faults', { faults: 2, churn: 0 }],
      ['a fault, a change of mind and a frame', { faults: 1, churn: 1, frames: 1 }],
    );
  }

  for (const [what, bounds] of searches) {
    for (const sameDevice of [false, true]) {
      const whose = sameDevice ? 'two connections of one device' : 'connections of three devices';
      test(
        `keeps every invariant with ${what}, and ${whose}`,
        async () => {
          const { errors, complete, report } = await search(folder, 'states', {
            ...bounds,
            sameDevice,
          });
          expect(errors, report).toBe(0);
          expect(complete, report).toBe(true);
        },
        PATIENCE_MS,
      );
    }
  }

  test(
    'comes to rest after a fault, whatever the schedule',
    async () => {
      for (const sameDevice of [false, true]) {
        const bounds = { faults: 1, churn: 0, sameDevice };
        const { errors, complete, report } = await search(folder, 'cycles', bounds);
        expect(errors, report).toBe(0);
        expect(complete, report).toBe(true);
      }
    },
    PATIENCE_MS,
  );

  const mutations: [string, string, Bounds][] = [
    ['BLIND_RENEWAL', 'a lease that had ended is renewed', { faults: 1, churn: 0 }],
    ['NO_CLOCK', 'a node does not look at its clocks', { faults: 1, churn: 0 }],
    ['NO_COMPARE', 'a write does not compare the version', { faults: 0, churn: 0 }],
    ['NO_DEADLINE', 'a write may come after the end of its lease', { faults: 1, churn: 0 }],
    ['VERSIONS_REUSED', 'a room made anew begins at version 0', { faults: 0, churn: 2 }],
    ['THIRD_LET_IN', 'a third member is not refused', { faults: 0, churn: 0 }],
    [
      'TAKEN_BACK',
      'who comes back takes its seat from the connection that took it over',
      { faults: 1, churn: 0, sameDevice: true },
    ],
    ['OUTCOME_FORGOTTEN', 'a write of unknown outcome is forgotten', { faults: 1, churn: 1 }],
    ['FAILURES_NOT_REPEATED', 'a change that failed is not repeated', { faults: 1, churn: 1 }],
    [
      'DEBT_FORGOTTEN',
      'who joins again is not taken out of the seat it had left',
      { faults: 1, churn: 2 },
    ],
    ['NOTICES_UNCHECKED', 'a notice of an older version is heeded', { faults: 1, churn: 1 }],
    ['DEATHS_IGNORED', 'rooms are not read again after a death', { faults: 1, churn: 0 }],
    ['LOSSES_IGNORED', 'rooms are not read again after a loss of news', { faults: 1, churn: 0 }],
    ['JOINS_OVERLOOKED', 'a room is not read again if nobody sits yet', { faults: 1, churn: 0 }],
    ['ROLES_SWAPPED', 'two who are both back sit in another order', { faults: 1, churn: 0 }],
    ['SEVERED_FORGOTTEN', 'two who were told apart stay the same pair', { faults: 1, churn: 0 }],
    [
      'PEERS_BY_ID',
      'the same two are the same pair, though one was away',
      { faults: 0, churn: 2, frames: 1 },
    ],
    [
      'PEER_UNCHECKED',
      'a frame is delivered to whoever sits there',
      { faults: 0, churn: 1, frames: 1 },
    ],
  ];
  for (const [mutation, what, bounds] of mutations) {
    test(
      `breaks where ${what}`,
      async () => {
        const { errors, report } = await search(folder, 'first', { ...bounds, mutation });
        expect(errors, report).toBe(1);
        expect(report).toMatch(/assertion violated/);
      },
      PATIENCE_MS,
    );
  }
});
