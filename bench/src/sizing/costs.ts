// The measured cost of each event, from the rows of `cluster`, `forward`, `idle` and `start` in results.json.
import { medianOf } from '../figures/row.js';
import { MESSAGE_BYTES } from '../load/dialects.js';
import type { Results } from '../report/results.js';
import { type Cost, NOTHING, sumOf } from './cost.js';

export interface Costs {
  /** Four requests, with the two devices at different nodes. */
  pairing: Cost;
  /** A client that connects, joins and disconnects. */
  visit: Cost;
  /** A ping and its answer. */
  heartbeat: Cost;
  /** A candidate between peers at one node, and between nodes. */
  same: Cost;
  crossing: Cost;
  /** A description instead of a candidate: CPU time as a multiple, and additional bytes. */
  description: { times: number; moreBytes: number };
  /** Bytes: of an idle node and of each connection; in Redis, of each of these. */
  memory: {
    node: number;
    connection: number;
    pending: number;
    room: number;
    record: number;
    live: number;
  };
}

/** An empty frame and its answer, masked (RFC 6455 §5.2). */
const PING_BYTES = { bytesToClients: 2, bytesFromClients: 6 };

/** Null if a row is missing, because not everything has been measured. */
export function costsFrom(results: Results): Costs | null {
  const figures = new Map(
    Object.values(results).flatMap(({ rows }) =>
      rows.map(({ id, figures: { couplet } }) => [id, couplet && medianOf(couplet)] as const),
    ),
  );
  let complete = true;
  const of = (id: string): number => {
    const value = figures.get(id);
    complete &&= value !== undefined;
    return value ?? Number.NaN;
  };
  const clients = (id: string) => ({
    bytesFromClients: of(`cluster/${id}/bytesFromClients`),
    bytesToClients: of(`cluster/${id}/bytesToClients`),
  });
  const redis = (id: string) => ({
    bytesToRedis: of(`cluster/${id}/bytesIn`),
    bytesFromRedis: of(`cluster/${id}/bytesOut`),
  });
  const cpu = (id: string) => ({
    nodeMicroseconds: of(`cluster/${id}/serverMicroseconds`),
    redisMicroseconds: of(`cluster/${id}/redisMicroseconds`),
  });
  const memory = (id: string) => of(`cluster/memory/${id}`);
  const costs: Costs = {
    pairing: {
      ...cpu('3/pairing'),
      commands: of('cluster/pairing/sent'),
      ...redis('pairing'),
      ...clients('3/pairing'),
    },
    visit: {
      ...sumOf([cpu('enter'), cpu('end')].map((cost) => ({ ...NOTHING, ...cost }))),
      commands: of('cluster/join/sent') + of('cluster/leave/sent'),
      ...redis('visit'),
      ...clients('visit'),
    },
    heartbeat: {
      ...NOTHING,
      nodeMicroseconds: of('cluster/heartbeat/serverMicroseconds'),
      ...PING_BYTES,
    },
    same: {
      ...NOTHING,
      nodeMicroseconds: of('cluster/3/same/open/serverMicroseconds'),
      ...clients('message'),
    },
    crossing: {
      ...cpu('3/apart/open'),
      commands: of('cluster/message/apart/sent'),
      ...redis('3/apart/open'),
      ...clients('message'),
    },
    description: {
      times: of('forward/100/candidate/1') / of('forward/100/offer/1'),
      moreBytes: MESSAGE_BYTES.offer - MESSAGE_BYTES.candidate,
    },
    memory: {
      node: of('start/memory') * 1e6,
      // Measured with a crowd that is large compared with the reserves of a process.
      connection: of('idle/joined') * 1000,
      pending: memory('pending'),
      room: memory('room'),
      record: memory('record'),
      live: memory('live'),
    },
  };
  return complete ? costs : null;
}
