// The signaling feature, put together: connections, backplane, heartbeat and upgrade as one thing to start and to drain.
import type { Server } from 'node:http';
import type { Clock } from '../platform/clock.js';
import type { Config } from '../platform/config.js';
import type { Logger } from '../platform/logger.js';
import type { Backplane } from './backplane.js';
import { Connections, type IceServers } from './connections.js';
import { handle, type RoomDirectory } from './handlers.js';
import { Heartbeat } from './heartbeat.js';
import { createMemoryBackplane } from './memory-backplane.js';
import { acceptWebSockets } from './upgrade.js';

export interface Signaling {
  readonly backplane: Backplane;
  /**
   * Refuses new connections, closes those there are with 1012, and drops whoever has not gone after `graceMs`.
   * Resolves when none is left.
   */
  drain(graceMs: number): Promise<void>;
}

export function startSignaling(
  server: Server,
  config: Config,
  directory: RoomDirectory,
  iceServers: IceServers,
  serverName: string,
  clock: Clock,
  log: Logger,
): Signaling {
  const connections = new Connections(iceServers);
  const backplane = createMemoryBackplane(connections);
  const heartbeat = new Heartbeat(clock, config.heartbeatSeconds);
  const deps = { backplane, directory, log };
  const refuse = acceptWebSockets(server, {
    config,
    connections,
    backplane,
    heartbeat,
    handle: (connection, message) => handle(connection, message, deps),
    log,
    serverName,
  });
  return {
    backplane,
    async drain(graceMs) {
      refuse();
      heartbeat.stop();
      for (const connection of connections) connection.close('service_restart');
      const cancel = clock.after(graceMs, () => {
        for (const connection of connections) connection.terminate();
      });
      await connections.whenEmpty();
      cancel();
    },
  };
}
