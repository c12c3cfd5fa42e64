// Forwarding between pairs: as fast as possible, and at a fixed rate.
import { type Contender, contest, rowOf, type Scale } from '../conductor/contest.js';
import { SPECS } from '../conductor/specs.js';
import type { Row, ServerName } from '../figures/row.js';
import type { DialectName, FrameKind } from '../load/dialects.js';

export type Forwarder = Exclude<ServerName, 'fastify'>;

export const FORWARDERS: readonly Forwarder[] = ['couplet', 'peerjs', 'corked', 'bare'];

const DIALECT_OF: Record<Forwarder, DialectName> = {
  couplet: 'couplet',
  peerjs: 'peerjs',
  corked: 'bare',
  bare: 'bare',
};

export const dialectOf = (name: Forwarder): DialectName => DIALECT_OF[name];

export interface ForwardCase {
  pairs: number;
  frame: FrameKind;
  inFlight: number;
}

const CASES: readonly ForwardCase[] = [100, 1000].flatMap((pairs) =>
  (['candidate', 'offer'] as const).flatMap((frame) =>
    [1, 8].map((inFlight) => ({ pairs, frame, inFlight })),
  ),
);

type OpenForwardCase = Omit<ForwardCase, 'inFlight'> & { messagesPerSecond: number };

/** At rates well below the capacity of the slowest server. */
const OPEN_CASES: readonly OpenForwardCase[] = [
  { pairs: 100, frame: 'candidate', messagesPerSecond: 20_000 },
  { pairs: 1000, frame: 'candidate', messagesPerSecond: 20_000 },
  { pairs: 100, frame: 'offer', messagesPerSecond: 10_000 },
];

const FRAME_NAMES: Record<FrameKind, string> = {
  candidate: '245 B candidates',
  offer: '2.5 kB offers',
};

export async function forward(scale: Scale): Promise<Row[]> {
  const rows: Row[] = [];
  const cases = scale.short ? CASES.slice(0, 1) : CASES;
  for (const one of cases) rows.push(await forwardClosed(one, FORWARDERS, scale));
  for (const one of scale.short ? [] : OPEN_CASES) rows.push(...(await forwardOpen(one, scale)));
  return rows;
}

/** One case in a closed loop: messages per second. */
export async function forwardClosed(
  { pairs, frame, inFlight }: ForwardCase,
  names: readonly Forwarder[],
  scale: Scale,
): Promise<Row> {
  const contenders = names.map(
    (name): Contender => ({
      name,
      spec: SPECS[name],
      job: ({ port, pid }) => ({
        kind: 'forward-closed',
        dialect: DIALECT_OF[name],
        pairs: scale.short ? 10 : pairs,
        frame,
        inFlight,
        hop: false,
        port,
        pid,
      }),
    }),
  );
  return rowOf(
    {
      id: `forward/${pairs}/${frame}/${inFlight}`,
      label: `${pairs} pairs, ${FRAME_NAMES[frame]}, ${inFlight} in flight`,
      unit: 'messages/s',
      better: 'more',
    },
    await contest(contenders, scale),
    ({ messagesPerSecond = 0 }) => messagesPerSecond,
  );
}

async function forwardOpen(
  { pairs, frame, messagesPerSecond }: OpenForwardCase,
  scale: Scale,
): Promise<Row[]> {
  const contenders = FORWARDERS.map(
    (name): Contender => ({
      name,
      spec: SPECS[name],
      job: ({ port, pid }) => ({
        kind: 'forward-open',
        dialect: DIALECT_OF[name],
        pairs,
        frame,
        messagesPerSecond,
        port,
        pid,
      }),
    }),
  );
  const measurements = await contest(contenders, { ...scale, seconds: scale.seconds * 1.5 });
  const row = (value: string, label: string) =>
    rowOf(
      {
        id: `forward/open/${pairs}/${frame}/${value}`,
        label: `${pairs} pairs, ${FRAME_NAMES[frame]} at ${messagesPerSecond} messages/s, ${label}`,
        unit: 'ms',
        better: 'less',
      },
      measurements,
      (values) => values[value] ?? Number.NaN,
    );
  return [row('p50', 'median'), row('p99', 'p99'), row('p999', 'p99.9')];
}
