// Forwarding between pairs: as fast as possible, and at a fixed rate.
import { type Contender, contest, rowOf, type Scale } from '../conductor/contest.js';
import { SPECS } from '../conductor/specs.js';
import type { Row, ServerName } from '../figures/row.js';
import type { DialectName, FrameKind } from '../load/dialects.js';
import type { ClosedForwardJob, OpenForwardJob, Server } from '../load/job.js';

export type Forwarder = Exclude<ServerName, 'fastify'>;

const FORWARDERS: readonly Forwarder[] = ['couplet', 'peerjs', 'corked', 'bare'];

export const DIALECT_OF: Record<Forwarder, DialectName> = {
  couplet: 'couplet',
  peerjs: 'peerjs',
  corked: 'bare',
  bare: 'bare',
};

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

/** At rates well below the capacity of the slowest server. */
const OPEN_CASES = [
  { pairs: 100, frame: 'candidate', messagesPerSecond: 20_000 },
  { pairs: 1000, frame: 'candidate', messagesPerSecond: 20_000 },
  { pairs: 100, frame: 'offer', messagesPerSecond: 10_000 },
] as const;

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

/** The same load on each of the servers, in its dialect. */
export const onEach = <Name extends Forwarder>(
  names: readonly Name[],
  job: (at: Server & { dialect: DialectName }) => ClosedForwardJob | OpenForwardJob,
): Record<Name, Contender> =>
  Object.fromEntries(
    names.map((name): [Name, Contender] => [
      name,
      { spec: SPECS[name], job: (at) => job({ ...at, dialect: DIALECT_OF[name] }) },
    ]),
  ) as Record<Name, Contender>;

/** One case in a closed loop: messages per second. */
export async function forwardClosed(
  { pairs, frame, inFlight }: ForwardCase,
  names: readonly Forwarder[],
  scale: Scale,
): Promise<Row> {
  const contenders = onEach(names, (at) => ({
    ...at,
    kind: 'forward-closed',
    pairs: scale.short ? 10 : pairs,
    frame,
    inFlight,
    hop: false,
  }));
  return rowOf(
    {
      id: `forward/${pairs}/${frame}/${inFlight}`,
      label: `${pairs} pairs, ${FRAME_NAMES[frame]}, ${inFlight} in flight`,
      unit: 'messages/s',
      better: 'more',
    },
    await contest(contenders, scale),
    'messagesPerSecond',
  );
}

async function forwardOpen(one: (typeof OPEN_CASES)[number], scale: Scale): Promise<Row[]> {
  const { pairs, frame, messagesPerSecond } = one;
  const contenders = onEach(FORWARDERS, (at) => ({ ...at, kind: 'forward-open', ...one }));
  const rounds = await contest(contenders, { ...scale, seconds: scale.seconds * 1.5 });
  const row = (value: string, label: string) =>
    rowOf(
      {
        id: `forward/open/${pairs}/${frame}/${value}`,
        label: `${pairs} pairs, ${FRAME_NAMES[frame]} at ${messagesPerSecond} messages/s, ${label}`,
        unit: 'ms',
        better: 'less',
      },
      rounds,
      value,
    );
  return [row('p50', 'median'), row('p99', 'p99'), row('p999', 'p99.9')];
}
