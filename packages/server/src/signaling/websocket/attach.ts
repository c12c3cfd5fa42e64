// Attaches a socket after its opening handshake: creates its Connection, receive queue and fast lane, and handles its end.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { AddressBudget } from '../../limits/address-budget.js';
import type { Config } from '../../settings/config.js';
import type { Backplane } from '../backplane.js';
import type { Connections } from '../connections.js';
import { FastLane, type FastLaneDeps } from '../fast-lane/fast-lane.js';
import { BURST_SECONDS, RateMeter } from '../rates.js';
import { Connection, type ConnectionDeps } from './connection.js';
import { ReceiveQueue, type ReceiveQueueDeps } from './receive-queue.js';
import type { ClientSocket, SocketHandlers } from './upgrade.js';

export interface AttachDeps extends Omit<ConnectionDeps, 'onGone'>, ReceiveQueueDeps, FastLaneDeps {
  config: Config;
  connections: Connections;
  backplane: Backplane;
  /** The server name in `connected`. */
  serverName: string;
  /** Whether each connection keeps its opening request. */
  keepRequests: boolean;
}

/** Returns the function that takes over a socket after its opening handshake. */
export function attacher(deps: AttachDeps) {
  const { config, connections, backplane, counters, clock, stalls, log } = deps;
  const rate = {
    messagesPerSecond: config.maxMessagesPerSecond,
    bytesPerSecond: config.maxBytesPerSecond,
  };
  /** One message alone must not exceed the rate. */
  const maxMessageBytes = Math.min(
    config.maxMessageBytes,
    BURST_SECONDS * config.maxBytesPerSecond,
  );
  const connectionDeps: ConnectionDeps = {
    ...deps,
    onGone({ seat, id, number }) {
      if (seat === null) return;
      backplane.depart(seat.roomId, id, 'disconnect').catch((error: unknown) => {
        log.error({ conn: number, err: error }, 'seat not released');
      });
    },
  };

  const handlers: SocketHandlers = {
    message(data: Buffer, isBinary: boolean) {
      const { connection, receiveQueue } = this.lane;
      connection.unanswered = 0;
      // A binary frame is no message of the protocol; the empty text gets the answer of one that is not JSON.
      receiveQueue.receive(isBinary ? '' : data.toString(), data.length);
    },

    ping(payload: Buffer) {
      const { connection, receiveQueue } = this.lane;
      connection.unanswered = 0;
      if (receiveQueue.admit(payload.length)) connection.pong(payload);
    },

    pong(payload: Buffer) {
      const { connection, receiveQueue } = this.lane;
      connection.unanswered = 0;
      receiveQueue.admit(payload.length);
    },

    /** After a protocol fault or an oversized message, ws starts the close with the right code; that can take a while. */
    error({ code }: Error & { code?: string }) {
      const { connection } = this.lane;
      if (code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') counters.closes.message_too_big += 1;
      log.debug({ conn: connection.number, code }, 'socket error');
      this.lane.close();
      connection.leave();
    },

    close(code: number) {
      const { connection } = this.lane;
      connection.leave();
      connection.budget.disconnected();
      connections.delete(connection);
      if (connection.budget.mayLog()) log.info({ conn: connection.number, code }, 'disconnected');
    },
  };

  return (
    socket: ClientSocket,
    stream: Duplex,
    request: IncomingMessage,
    budget: AddressBudget,
  ) => {
    const origin = { budget, request: deps.keepRequests ? request : undefined };
    const connection = new Connection(socket, stream, origin, connectionDeps);
    const now = clock.monotonic();
    const meter = new RateMeter(rate, now, stalls.total(now));
    const receiveQueue = new ReceiveQueue(connection, meter, deps);
    socket.lane = new FastLane(stream, connection, receiveQueue, deps);
    socket.handlers = handlers;
    counters.opened += 1;
    connections.add(connection);
    if (budget.mayLog()) log.info({ conn: connection.number }, 'connected');
    connection.send({
      type: 'connected',
      clientId: connection.id,
      server: deps.serverName,
      maxMessageBytes,
    });
  };
}
