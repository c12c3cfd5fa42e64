// The table of networks and paths in docs/turn.md.
import type { HostName, RouterRules } from '@couplet/testkit/lab';
import type { LineQuality } from '../support/long-line.js';

/** The type of the candidate pair that ICE selects; `none` if it finds none. */
export type Path = 'host' | 'srflx' | 'relay' | 'relay over TCP' | 'none';

export interface Network {
  network: string;
  /** The peer of the phone: the tablet is in the same LAN, and the laptop is behind another router. */
  guest: HostName;
  routers: RouterRules;
  /** The connections of both routers, if they are impaired. */
  lines?: LineQuality;
  /** Whether clients get a TURN server, not only STUN. */
  turn: boolean;
  path: Path;
  /** Addresses at which the two devices reach each other. */
  reached: string[];
}

const KEPT: RouterRules = { ports: 'kept', udp: 'open' };
const SYMMETRIC: RouterRules = { ports: 'random', udp: 'open' };
const NO_UDP: RouterRules = { ports: 'kept', udp: 'blocked' };

const IN_THE_LAN = ['192.168.1.2', '192.168.1.3'];
const AT_THE_ROUTERS = ['198.18.0.11', '198.18.0.12'];
const AT_COTURN = ['198.18.0.1'];

export const NETWORKS: Network[] = [
  {
    network: 'one LAN',
    guest: 'tablet',
    routers: KEPT,
    turn: true,
    path: 'host',
    reached: IN_THE_LAN,
  },
  {
    network: 'two NATs that keep ports',
    guest: 'laptop',
    routers: KEPT,
    turn: true,
    path: 'srflx',
    reached: AT_THE_ROUTERS,
  },
  {
    network: 'the same, each line with 80 ms delay and 5 % loss',
    guest: 'laptop',
    routers: KEPT,
    lines: { delayMs: 80, lossPercent: 5 },
    turn: true,
    path: 'srflx',
    reached: AT_THE_ROUTERS,
  },
  {
    network: 'two symmetric NATs',
    guest: 'laptop',
    routers: SYMMETRIC,
    turn: true,
    path: 'relay',
    reached: AT_COTURN,
  },
  {
    network: 'two NATs that let no UDP through',
    guest: 'laptop',
    routers: NO_UDP,
    turn: true,
    path: 'relay over TCP',
    reached: AT_COTURN,
  },
  {
    network: 'two symmetric NATs, and no TURN server',
    guest: 'laptop',
    routers: SYMMETRIC,
    turn: false,
    path: 'none',
    reached: [],
  },
];
