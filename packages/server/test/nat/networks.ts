// The table of networks and paths in docs/turn.md.
import type { HostName, RouterRules } from '@couplet/testkit/lab';
import type { LineQuality } from '../support/long-line.js';

export interface Network {
  network: string;
  /** The peer of the phone: the tablet is in the same LAN, and the laptop is behind another router. */
  guest: HostName;
  routers: RouterRules;
  /** The type of the candidate pair that ICE selects; `none` if it finds none. */
  path: 'host' | 'srflx' | 'relay' | 'relay over TCP' | 'none';
  /** Addresses at which the two devices reach each other. */
  reached: string[];
  /** The connections of both routers, if they are impaired. */
  lines?: LineQuality;
  /** Whether clients get a TURN server, not only STUN. */
  turn: boolean;
}

const KEPT: RouterRules = { ports: 'kept', udp: 'open' };
const SYMMETRIC: RouterRules = { ports: 'random', udp: 'open' };
const NO_UDP: RouterRules = { ports: 'kept', udp: 'blocked' };

const IN_THE_LAN = ['192.168.1.2', '192.168.1.3'];
const AT_THE_ROUTERS = ['198.18.0.11', '198.18.0.12'];
const AT_COTURN = ['198.18.0.1'];

type Row = [string, HostName, RouterRules, Network['path'], string[], Partial<Network>?];
const ROWS: Row[] = [
  ['one LAN', 'tablet', KEPT, 'host', IN_THE_LAN],
  ['two NATs that keep ports', 'laptop', KEPT, 'srflx', AT_THE_ROUTERS],
  [
    ...(['the same, each line with 80 ms delay and 5 % loss', 'laptop', KEPT] as const),
    ...(['srflx', AT_THE_ROUTERS, { lines: { delayMs: 80, lossPercent: 5 } }] as const),
  ],
  ['two symmetric NATs', 'laptop', SYMMETRIC, 'relay', AT_COTURN],
  ['two NATs that let no UDP through', 'laptop', NO_UDP, 'relay over TCP', AT_COTURN],
  ['two symmetric NATs, and no TURN server', 'laptop', SYMMETRIC, 'none', [], { turn: false }],
];

export const NETWORKS = ROWS.map(
  ([network, guest, routers, path, reached, more]): Network => ({
    ...{ network, guest, routers, path, reached, turn: true },
    ...more,
  }),
);
