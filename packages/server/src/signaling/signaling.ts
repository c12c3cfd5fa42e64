// Assembles the signaling feature from connections, backplane, heartbeat and upgrade; starts and drains it.
import type { IncomingMessage, Server } from 'node:http';
import { systemClock } from '../base/clock.js';
import type { TrustProxy } from '../http/client-address.js';
import type { HostRule } from '../http/hosts.js';
import type { AddressBudgets } from '../limits/address-budget.js';
import type { Stalls } from '../limits/event-loop-stalls.js';
import type { Services } from '../observability/services.js';
import type { OriginRule } from '../settings/origins.js';
import type { Backplane, LocalConnections } from './backplane.js';
import { Connections, type IceServers } from './connections.js';
import { signalingCounters } from './counters.js';
import { handle, type MayJoin, type RoomDirectory, type Waker } from './handlers.js';
import { attacher } from './websocket/attach.js';
import { Corking } from './websocket/corking.js';
import { startHeartbeat } from './websocket/heartbeat.js';
import { acceptWebSockets } from './websocket/upgrade.js';

/** A request for a seat, as passed to the embedding application. */
export interface JoinRequest {
  /** The HTTP request that opened the connection: its headers, its query. */
  request: IncomingMessage;
  roomId: string;
  deviceId: string | null;
}

/** Decisions of the embedding application; a missing hook allows everything. */
export interface SignalingGate {
  /** Whether a WebSocket may be opened; otherwise the handshake is answered 401. */
  connect?: (request: IncomingMessage) => boolean | Promise<boolean>;
  /** Whether a connection may take a seat; otherwise it gets `forbidden`. */
  join?: (join: JoinRequest) => boolean | Promise<boolean>;
}

export interface SignalingDeps extends Services {
  server: Server;
  /** Creates the backplane over the connections of this process. */
  createBackplane: (connections: LocalConnections) => Backplane;
  directory: RoomDirectory;
  waker: Waker;
  iceServers: IceServers;
  gate: SignalingGate;
  trust: TrustProxy;
  hostFault: HostRule;
  allowsOrigin: OriginRule | null;
  serverName: string;
  budgets: AddressBudgets;
  stalls: Pick<Stalls, 'total'>;
}

export interface Signaling {
  readonly backplane: Backplane;
  /**
   * Refuses new connections, closes the others with 1012 at a limited rate, and drops those that remain after `graceMs`.
   * Resolves when none is left and all seats are given up.
   */
  drain(graceMs: number): Promise<void>;
}

/** How often a drain closes its share of connections, in milliseconds. */
const DRAIN_TURN_MS = 50;

/** Part of a shutdown's time in which the close frames are sent; the rest is for the clients' answers. */
const SHARE_FOR_CLOSES = 0.75;

export function startSignaling(deps: SignalingDeps): Signaling {
  const { server, config, iceServers, gate, clock, metrics } = deps;
  const counters = signalingCounters(metrics);
  const connections = new Connections(iceServers, counters);
  const backplane = deps.createBackplane(connections);
  metrics.level('couplet_connections', 'WebSocket connections open now.', () => connections.size);
  metrics.level('couplet_live_rooms', 'Rooms with at least one member now.', () =>
    backplane.roomCount(),
  );
  const stopHeartbeat = startHeartbeat(connections, clock, config.heartbeatSeconds, counters);
  const parts = { ...deps, counters, connections, backplane, corking: new Corking() };
  const handlerDeps = { ...parts, mayJoin: joinRule(config.requirePairedRooms, gate) };
  const refuse = acceptWebSockets(server, {
    ...parts,
    authorize: gate.connect ?? (() => true),
    accept: attacher({
      ...parts,
      handle: (connection, message) => handle(connection, message, handlerDeps),
      // Message rates use real time, even if tests pass another clock.
      clock: systemClock,
      keepRequests: gate.join !== undefined,
    }),
  });
  return {
    backplane,
    async drain(graceMs) {
      refuse();
      stopHeartbeat();
      const left = [...connections];
      const total = left.length;
      // The rate rises if the time is too short, so that no connection is dropped without a close frame.
      const inTimeMs = graceMs * SHARE_FOR_CLOSES;
      const perTurn =
        Math.max(config.shutdownClosesPerSecond / 1000, total / inTimeMs) * DRAIN_TURN_MS;
      let turns = 0;
      const closeSome = () => {
        turns += 1;
        const due = Math.ceil(turns * perTurn) - (total - left.length);
        for (const connection of left.splice(0, due)) connection.close('service_restart');
      };
      closeSome();
      const stopClosing = clock.every(DRAIN_TURN_MS, closeSome);
      const cancel = clock.after(graceMs, () => {
        for (const connection of connections) connection.terminate();
      });
      await connections.whenEmpty();
      stopClosing();
      cancel();
      await backplane.close();
    },
  };
}

/** With paired rooms required, only the two devices of the room may join; the application decides on each join. */
function joinRule(requirePairedRooms: boolean, gate: SignalingGate): MayJoin {
  return (connection, roomId, deviceId, devices) => {
    if (requirePairedRooms) {
      const paired = devices !== undefined && deviceId !== null;
      if (!paired || (deviceId !== devices.client1 && deviceId !== devices.client2)) return false;
    }
    if (gate.join === undefined || connection.request === undefined) return true;
    return gate.join({ request: connection.request, roomId, deviceId });
  };
}
