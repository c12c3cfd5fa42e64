// Durable pairing over HTTP (create, check, accept, check), compared with a no-op Fastify route.
import { type Contender, contest, rowOf, type Scale } from '../conductor/contest.js';
import { NO_STORE, SPECS } from '../conductor/specs.js';
import type { Row } from '../figures/row.js';
import type { PairingJob, Server } from '../load/job.js';

const CLIENTS = [1, 32, 128];

/** Requests of one flow. */
const REQUESTS = 4;

export async function pairing(scale: Scale): Promise<Row[]> {
  const rows: Row[] = [];
  const counts = scale.short ? CLIENTS.slice(0, 1) : CLIENTS;
  for (const clients of counts) rows.push(...(await pairingBy(clients, scale)));
  if (!scale.short) rows.push(await ceiling(scale));
  return rows;
}

/** What the rest of the server allows, whatever the store is. */
async function ceiling(scale: Scale): Promise<Row> {
  const clients = 32;
  const all = await contest(
    { couplet: { spec: NO_STORE, job: pairingJob(clients) }, fastify: noOp(clients) },
    scale,
  );
  const row = {
    id: 'pairing/ceiling',
    label: `${clients} clients, pairings in a map`,
    unit: 'requests/s',
  };
  return rowOf({ ...row, better: 'more' }, all, 'requestsPerSecond');
}

/** @param flowsPerSecond - of all clients together; 0: as many as possible */
export const pairingJob =
  (clients: number, flowsPerSecond = 0, flow: PairingJob['flow'] = 'pairing') =>
  (at: Server): PairingJob => ({ ...at, kind: 'pairing', flow, clients, flowsPerSecond });

export const noOp = (clients: number): Contender => ({
  spec: SPECS.fastify,
  job: pairingJob(clients, 0, 'no-op'),
});

/** Rows for this many clients: flows, requests, and the latency of a flow. */
export async function pairingBy(clients: number, scale: Scale): Promise<Row[]> {
  const all = await contest(
    { couplet: { spec: SPECS.couplet, job: pairingJob(clients) }, fastify: noOp(clients) },
    { ...scale, seconds: scale.seconds * 2 },
  );
  const ours = { couplet: all.couplet };
  const row = (id: string, label: string, unit: string): Omit<Row, 'figures'> => ({
    id: `pairing/${clients}/${id}`,
    label: `${clients === 1 ? '1 client' : `${clients} clients`}: ${label}`,
    unit,
    better: unit.endsWith('/s') ? 'more' : 'less',
  });
  return [
    rowOf(row('flows', `pairings of ${REQUESTS} requests`, 'pairings/s'), ours, 'flowsPerSecond'),
    rowOf(row('requests', 'requests', 'requests/s'), all, 'requestsPerSecond'),
    rowOf(
      row('cpu', 'CPU time of a request, in all threads', 'µs'),
      all,
      ({
        values: { serverMicroseconds = Number.NaN, flowsPerSecond = 0, requestsPerSecond = 0 },
      }) => (serverMicroseconds * flowsPerSecond) / requestsPerSecond,
    ),
    rowOf(row('flowP99', 'p99 of a whole pairing', 'ms'), ours, 'flowP99'),
    rowOf(row('requestP99', 'p99 of a request', 'ms'), all, 'requestP99'),
  ];
}
