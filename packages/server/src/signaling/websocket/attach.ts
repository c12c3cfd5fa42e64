// Attaches a socket after its opening handshake: creates its Connection, receive queue and fast lane, and handles its end.
import type { EventEmitter } from 'node:events';
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
import type { Admission, ClientSocket } from './upgrade.js';

export interface AttachDeps extends Omit<ConnectionDeps, 'onGone'>, ReceiveQueueDeps, FastLaneDeps {
  config: Config;
  connections: Connections;
  backplane: Backplane;
  admission: Admission;
  /** The server name in `connected`. */
  serverName: string;
  /** Whether each connection keeps its opening request. */
  keepRequests: boolean;
}

/** Returns the function that takes over a socket after its opening handshake. */
export function attacher(deps: AttachDeps) {
  const { config, connections, backplane, admission, counters, clock, stalls, log } = deps;
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

  function onMessage(this: ClientSocket, data: Buffer, isBinary: boolean): void {
    this.connection.unanswered = 0;
    // A binary frame is no message of the protocol; the empty text gets the answer of one that is not JSON.
    this.receiveQueue.receive(isBinary ? '' : data.toString(), data.length);
  }

  function onPing(this: ClientSocket, payload: Buffer): void {
    this.connection.unanswered = 0;
    if (this.receiveQueue.admit(payload.length)) this.connection.pong(payload);
  }

  function onPong(this: ClientSocket, payload: Buffer): void {
    this.connection.unanswered = 0;
    this.receiveQueue.admit(payload.length);
  }

  /** After a protocol fault or an oversized message, ws starts the close with the right code; that can take a while. */
  function onError(this: ClientSocket, { code }: Error & { code?: string }): void {
    if (code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') counters.closes.message_too_big += 1;
    log.debug({ conn: this.connection.number, code }, 'socket error');
    this.lane.close();
    this.connection.leave();
  }

  function onClose(this: ClientSocket, code: number): void {
    const { connection } = this;
    connection.leave();
    admission.exit(connection.budget);
    connections.delete(connection);
    if (connection.budget.mayLog()) log.info({ conn: connection.number, code }, 'disconnected');
  }

  return (
    socket: ClientSocket,
    stream: Duplex,
    request: IncomingMessage,
    budget: AddressBudget,
  ) => {
    const origin = { budget, request: deps.keepRequests ? request : undefined };
    const connection = new Connection(socket, stream, origin, connectionDeps);
    socket.connection = connection;
    const now = clock.monotonic();
    const meter = new RateMeter(rate, now, stalls.total(now));
    socket.receiveQueue = new ReceiveQueue(connection, meter, deps);
    socket.lane = new FastLane(stream, connection, socket.receiveQueue, deps);
    counters.opened += 1;
    connections.add(connection);
    if (budget.mayLog()) log.info({ conn: connection.number }, 'connected');
    // The types of ws declare only its own class as `this`.
    const events: EventEmitter = socket;
    events.on('message', onMessage);
    events.on('ping', onPing);
    events.on('pong', onPong);
    events.on('error', onError);
    events.on('close', onClose);
    connection.send({
      type: 'connected',
      clientId: connection.id,
      server: deps.serverName,
      maxMessageBytes,
    });
  };
}
