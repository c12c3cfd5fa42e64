// Durable pairing over HTTP (create, check, accept, check), compared with a no-op Fastify route.
import {
  type Contender,
  contest,
  type Measurements,
  rowOf,
  type Scale,
} from '../conductor/contest.js';
import { SPECS } from '../conductor/specs.js';
import type { Row } from '../figures/row.js';

const CLIENTS = [1, 32, 128];

/** Requests of one flow. */
const REQUESTS = 4;

export async function pairing(scale: Scale): Promise<Row[]> {
  const rows: Row[] = [];
  const counts = scale.short ? CLIENTS.slice(0, 1) : CLIENTS;
  for (const clients of counts) rows.push(...(await pairingBy(clients, scale)));
  return rows;
}

/** Rows for this many clients: flows, requests, and the latency of a flow. */
export async function pairingBy(clients: number, scale: Scale): Promise<Row[]> {
  const measurements = await contest([ours(clients), noOp(clients)], {
    ...scale,
    seconds: scale.seconds * 2,
  });
  const one = clients === 1 ? '1 client' : `${clients} clients`;
  const flows: Measurements = new Map([['couplet', measurements.get('couplet') ?? []]]);
  const latency = (value: string, label: string) =>
    rowOf(
      { id: `pairing/${clients}/${value}`, label: `${one}: ${label}`, unit: 'ms', better: 'less' },
      value.startsWith('flow') ? flows : measurements,
      (values) => values[value] ?? Number.NaN,
    );
  return [
    rowOf(
      {
        id: `pairing/${clients}/flows`,
        label: `${one}: pairings of ${REQUESTS} requests`,
        unit: 'pairings/s',
        better: 'more',
      },
      flows,
      ({ flowsPerSecond = 0 }) => flowsPerSecond,
    ),
    rowOf(
      {
        id: `pairing/${clients}/requests`,
        label: `${one}: requests`,
        unit: 'requests/s',
        better: 'more',
      },
      measurements,
      ({ requestsPerSecond = 0 }) => requestsPerSecond,
    ),
    rowOf(
      {
        id: `pairing/${clients}/cpu`,
        label: `${one}: CPU time of a request, in all threads`,
        unit: 'µs',
        better: 'less',
      },
      measurements,
      ({ serverMicroseconds = Number.NaN, flowsPerSecond = 0, requestsPerSecond = 0 }) =>
        (serverMicroseconds * flowsPerSecond) / requestsPerSecond,
    ),
    latency('flowP99', 'p99 of a whole pairing'),
    latency('requestP99', 'p99 of a request'),
  ];
}

const ours = (clients: number): Contender => ({
  name: 'couplet',
  spec: SPECS.couplet,
  job: ({ port, pid }) => ({
    kind: 'pairing',
    flow: 'pairing',
    clients,
    flowsPerSecond: 0,
    port,
    pid,
  }),
});

export const noOp = (clients: number): Contender => ({
  name: 'fastify',
  spec: SPECS.fastify,
  job: ({ port, pid }) => ({
    kind: 'pairing',
    flow: 'no-op',
    clients,
    flowsPerSecond: 0,
    port,
    pid,
  }),
});
