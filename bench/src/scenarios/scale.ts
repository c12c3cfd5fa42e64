// The cost of a message as rooms grow: few messages are in flight, but they visit every room.
import { contest, reading, rowOf, type Scale } from '../conductor/contest.js';
import type { Row } from '../figures/row.js';
import { onEach } from './forward.js';
import { fitting } from './open-files.js';

const ROOMS = [100, 1000, 10_000, 50_000];
const IN_FLIGHT = 100;

/** For comparison, the effect of the CPU caches alone. */
const SCALED = ['couplet', 'corked'] as const;

export async function scale(scale: Scale): Promise<Row[]> {
  const wanted = scale.short ? [10, 50] : ROOMS;
  const { count: most, note } = fitting(wanted.at(-1) as number, 2);
  const sizes = [...new Set(wanted.map((rooms) => Math.min(rooms, most)))];
  const contenders = sizes.flatMap((rooms) => {
    const ofSize = onEach(SCALED, (at) => ({
      ...at,
      kind: 'forward-closed',
      pairs: rooms,
      frame: 'candidate',
      inFlight: Math.min(IN_FLIGHT, rooms),
      hop: true,
    }));
    return SCALED.map((name) => [`${name}/${rooms}`, ofSize[name]] as const);
  });
  const measured = await contest(Object.fromEntries(contenders), {
    ...scale,
    rounds: Math.min(scale.rounds, 3),
  });
  const roundsOf = (name: string, rooms: number) => measured[`${name}/${rooms}`] ?? [];
  const costs = sizes.map((rooms) =>
    rowOf(
      {
        id: `scale/${rooms}`,
        label: `${rooms} rooms: the server's CPU time per message`,
        unit: 'µs',
        better: 'less',
      },
      { couplet: roundsOf('couplet', rooms), corked: roundsOf('corked', rooms) },
      'serverMicroseconds',
    ),
  );
  const [smallest = 0] = sizes;
  const largest = sizes.at(-1) ?? 0;
  const cost = reading('serverMicroseconds');
  const growthOf = (name: string) => {
    const before = roundsOf(name, smallest).map(cost);
    return roundsOf(name, largest).map((round, n) => ({
      ...round,
      values: { growth: cost(round) / (before[n] ?? Number.NaN) },
    }));
  };
  const growth = rowOf(
    {
      id: 'scale/growth',
      label: `${largest} rooms: cost of a message, against that in ${smallest} rooms`,
      unit: '×',
      better: 'less',
      ...(note === undefined ? {} : { note }),
    },
    { couplet: growthOf('couplet'), corked: growthOf('corked') },
    'growth',
  );
  return [...costs, growth];
}
