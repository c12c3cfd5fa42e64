// A socket whose handshake is done → a Connection with its inbox, its heartbeat and its end.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Config } from '../platform/config.js';
import type { Logger } from '../platform/logger.js';
import type { Backplane } from './backplane.js';
import { Connection, type ConnectionDeps } from './connection.js';
import type { Connections } from './connections.js';
import { Corking } from './corking.js';
import type { SignalingCounters } from './counters.js';
import { FastLane } from './fast-lane.js';
import type { Heartbeat } from './heartbeat.js';
import { type Handle, Inbox } from './inbox.js';
import { RateMeter } from './rates.js';

export interface AttachDeps {
  config: Pick<
    Config,
    'maxBufferedBytes' | 'maxMessageBytes' | 'maxMessagesPerSecond' | 'maxBytesPerSecond'
  >;
  connections: Connections;
  backplane: Backplane;
  heartbeat: Heartbeat;
  handle: Handle;
  counters: SignalingCounters;
  log: Logger;
  /** What `connected` calls this server. */
  serverName: string;
  /** Whether each connection is to keep the request that opened it. */
  keepRequests: boolean;
}

/** Makes what takes a socket from the opening handshake on. */

export function attacher({
  config,
  connections,
  backplane,
  heartbeat,
  handle,
  counters,
  log,
  serverName,
  keepRequests,
}: AttachDeps) {
  const rate = {
    messagesPerSecond: config.maxMessagesPerSecond,
    bytesPerSecond: config.maxBytesPerSecond,
  };
  const corking = new Corking();
  const lanes = {
    backplane,
    connections,
    corking,
    counters,
    maxMessageBytes: config.maxMessageBytes,
  };
  const shared: ConnectionDeps = {
    corking,
    counters,
    maxBufferedBytes: config.maxBufferedBytes,
    onGone({ seat, id, number }) {
      if (seat === null) return;
      backplane.depart(seat.roomId, id, 'disconnect').catch((error: unknown) => {
        log.error({ conn: number, err: error }, 'seat not released');
      });
    },
  };

  return (socket: WebSocket, stream: Duplex, request: IncomingMessage, exit: () => void): void => {
    const connection = new Connection(socket, stream, keepRequests ? request : undefined, shared);
    const meter = new RateMeter(rate, performance.now());
    const inbox = new Inbox(connection, handle, meter, counters, log);
    const lane = new FastLane(stream, connection, inbox, lanes);
    counters.opened += 1;
    connections.add(connection);
    heartbeat.add(connection);
    log.info({ conn: connection.number }, 'connected');
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      connection.unanswered = 0;
      // A binary frame is no message of the protocol; the empty text gets the answer of one that is not JSON.
      inbox.receive(isBinary ? '' : data.toString(), data.length);
    });
    socket.on('ping', (payload) => {
      connection.unanswered = 0;
      if (inbox.admit(payload.length)) connection.pong(payload);
    });
    socket.on('pong', (payload) => {
      connection.unanswered = 0;
      inbox.admit(payload.length);
    });
    // ws closes the connection itself, with the code that fits; the event must only not be unhandled.
    socket.on('error', (error: Error & { code?: string }) => {
      if (error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') counters.closes.message_too_big += 1;
      lane.close();
      log.debug({ conn: connection.number, code: error.code }, 'socket error');
    });
    socket.on('close', (code) => {
      exit();
      heartbeat.delete(connection);
      connections.delete(connection);
      log.info({ conn: connection.number, code }, 'disconnected');
    });
    connection.send({ type: 'connected', clientId: connection.id, server: serverName });
  };
}
