// Assembles the signaling feature from connections, backplane, heartbeat and upgrade; starts and drains it.
import type { Server } from 'node:http';
import type { OriginRule } from '../settings/origins.js';
import type { Backplane, LocalConnections } from './backplane.js';
import { Connections, type IceServers } from './connections.js';
import { signalingCounters } from './counters.js';
import { handle, type RoomDirectory, type Waker } from './handlers.js';
import type { SignalingServices } from './services.js';
import { Corking } from './websocket/corking.js';
import { startHeartbeat } from './websocket/heartbeat.js';
import { acceptWebSockets } from './websocket/upgrade.js';

export interface SignalingDeps extends Omit<SignalingServices, 'counters' | 'corking'> {
  server: Server;
  /** Creates the backplane over the connections of this process. */
  createBackplane: (connections: LocalConnections) => Backplane;
  directory: RoomDirectory;
  waker: Waker;
  iceServers: IceServers;
  allowsOrigin: OriginRule | null;
}

/** How often a drain closes its share of connections, in milliseconds. */
const DRAIN_TURN_MS = 50;

/** Part of a shutdown's time in which the close frames are sent; the rest is for the clients' answers. */
const SHARE_FOR_CLOSES = 0.75;

export function startSignaling(deps: SignalingDeps) {
  const { server, config, iceServers, clock, metrics } = deps;
  const counters = signalingCounters(metrics);
  const connections = new Connections(iceServers, counters);
  const backplane = deps.createBackplane(connections);
  metrics.level('couplet_connections', 'WebSocket connections open now.', () => connections.size);
  metrics.level('couplet_live_rooms', 'Rooms with at least one member now.', () =>
    backplane.roomCount(),
  );
  const stopHeartbeat = startHeartbeat(connections, clock, config.heartbeatSeconds, counters);
  const parts = { ...deps, counters, connections, backplane, corking: new Corking() };
  const refuse = acceptWebSockets(server, {
    ...parts,
    handle: (connection, message) => handle(connection, message, parts),
  });
  return {
    backplane,
    /**
     * Refuses new connections, closes the others with 1012 at a limited rate, and drops those that remain after `graceMs`.
     * Resolves when none is left and all seats are given up.
     */
    async drain(graceMs: number): Promise<void> {
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
