// Implements the opening handshake (RFC 6455 §4.2) on `/`: checks the request, and attaches the socket, with its Connection,
// receive queue and fast lane.
import {
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  validateHeaderValue,
} from 'node:http';
import type { Socket } from 'node:net';
import { SUBPROTOCOL, TOKEN_SUBPROTOCOL } from '@couplet/protocol';
import { type ServerOptions, WebSocket, WebSocketServer } from 'ws';
import { type Cancel, systemClock } from '../../base/clock.js';
import { SERVER_NAME } from '../../base/version.js';
import { addressKey, clientAddress } from '../../http/client-address.js';
import { endRawResponse, RETRY_AFTER_SECONDS } from '../../http/errors.js';
import { originForm, requestedHost } from '../../http/hosts.js';
import { afterAnswers } from '../../http/pipelined-answers.js';
import { ignoreUpgrade } from '../../http/server.js';
import { type AddressBudget, COST } from '../../limits/address-budget.js';
import type { OriginRule } from '../../settings/origins.js';
import { REFUSALS, type RefusalCause } from '../counters.js';
import { FastLane, type FastLaneDeps } from '../fast-lane/fast-lane.js';
import { BURST_SECONDS, RateMeter } from '../rates.js';
import { Connection, type ConnectionDeps } from './connection.js';
import { ReceiveQueue, type ReceiveQueueDeps } from './receive-queue.js';

/** Handles the events of a socket, by their name. */
type SocketHandlers = Readonly<
  Record<string, ((this: ClientSocket, ...args: never[]) => void) | undefined>
>;

/** All sockets share their handlers, so none keeps closures or a table of listeners. */
class ClientSocket extends WebSocket {
  lane!: FastLane;
  handlers: SocketHandlers | undefined;

  override emit(event: string, ...args: unknown[]): boolean {
    this.handlers?.[event]?.apply(this, args as never[]);
    return true;
  }
}

export interface UpgradeDeps extends FastLaneDeps, ReceiveQueueDeps {
  /** Whether pages of an origin may connect; null: all may. Clients without an origin, such as apps, may connect. */
  allowsOrigin: OriginRule | null;
}

/** How long a client may take to answer a close frame before its socket is dropped, in milliseconds. */
const CLOSE_TIMEOUT_MS = 5000;

/** Handles all upgrades of an HTTP server. Returns the function that refuses them, for a shutdown. */
export function acceptWebSockets(server: Server, deps: UpgradeDeps): () => void {
  const { config, gate } = deps;
  const attach = attacher(deps);
  const options: ServerOptions<typeof ClientSocket> & { closeTimeout: number } = {
    noServer: true,
    WebSocket: ClientSocket,
    clientTracking: false,
    maxPayload: config.maxMessageBytes,
    // Compression costs far more memory and time than signaling messages are worth.
    perMessageDeflate: false,
    // The connection answers pings within its bounds.
    autoPong: false,
    closeTimeout: CLOSE_TIMEOUT_MS,
    // By default, ws selects the first offered one, which may contain a token.
    handleProtocols: (offered) => offered.has(SUBPROTOCOL) && SUBPROTOCOL,
  };
  const handshake = new WebSocketServer(options);
  let draining = false;

  const refuse = (stream: Socket, cause: RefusalCause) => {
    deps.counters.refusals[cause] += 1;
    const code = REFUSALS[cause];
    const isPassing = code === 'unavailable' || code === 'rate_limited';
    endRawResponse(stream, code, {
      ...(cause === 'handshake' ? { 'sec-websocket-version': '13' } : {}),
      ...(isPassing ? { 'retry-after': String(RETRY_AFTER_SECONDS) } : {}),
    });
  };

  /** The checks before any work for the request. */
  const objection = (request: IncomingMessage, budget: AddressBudget): RefusalCause | undefined => {
    if (draining) return 'draining';
    if (budget.exhausted) {
      deps.budgets.refused += 1;
      return 'budget';
    }
    budget.charge(COST.upgrade);
    const fault = deps.hostFault(request);
    if (fault !== undefined) return fault === 'forbidden' ? 'host' : 'handshake';
    if (originForm(request.url ?? '').split('?', 1)[0] !== '/') return 'path';
    if (!allowsOrigin(request)) return 'origin';
    if (deps.budgets.connections >= config.maxConnections) return 'total';
    return budget.connections >= config.maxConnectionsPerAddress ? 'address' : undefined;
  };

  const allowsOrigin = (request: IncomingMessage): boolean => {
    const { origin } = request.headers;
    if (deps.allowsOrigin === null || origin === undefined) return true;
    // The demo page of this server may connect.
    const isOwn = config.demo && isOwnOrigin(origin, requestedHost(request));
    return isOwn || deps.allowsOrigin(origin);
  };

  /** The application's decision; a decision after the time of a request is a refusal. */
  const inTime = async (word: Promise<boolean>): Promise<boolean> => {
    let cancel: Cancel = () => {};
    const late = new Promise<boolean>((resolve) => {
      cancel = deps.clock.after(config.requestTimeoutSeconds * 1000, () => resolve(false));
    });
    return Promise.race([word, late]).finally(() => cancel());
  };

  const upgrade = async (request: IncomingMessage, stream: Socket, head: Buffer) => {
    const budget = deps.budgets.of(addressKey(clientAddress(request, deps.trust)));
    const cause = objection(request, budget);
    if (cause !== undefined) return refuse(stream, cause);
    budget.connected();
    const exit = () => budget.disconnected();
    // During the handshake, the end of the socket uncounts it.
    stream.once('close', exit);
    presentToken(request.headers);
    const word = gate.connect === undefined || gate.connect(request);
    if (!(typeof word === 'boolean' ? word : await inTime(word))) {
      return refuse(stream, 'unauthorized');
    }
    if (draining) return refuse(stream, 'draining');
    // Sends the answer and the first message in one write.
    deps.corking.hold(stream);
    // A third listener would make the list grow, for the life of the connection.
    stream.off('close', exit);
    let isOpen = false;
    handshake.handleUpgrade(request, stream, head, (socket) => {
      isOpen = true;
      stream.off('error', drop);
      attach(socket, stream, request, budget);
    });
    if (!isOpen) stream.once('close', exit);
  };

  // By default, ws answers with an HTML page.
  handshake.on('wsClientError', (_error, stream) => refuse(stream as Socket, 'handshake'));
  server.on('upgrade', (request: IncomingMessage, stream: Socket, head: Buffer) => {
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
      return ignoreUpgrade(server, request, stream, head);
    }
    afterAnswers(stream, (pipelined) => {
      stream.on('error', drop);
      // An RFC 6455 client never upgrades behind unanswered requests, and the bytes that follow may be HTTP.
      if (pipelined) return refuse(stream, 'handshake');
      upgrade(request, stream, head).catch(() => {
        // The embedding application's hook failed, so the connection is refused.
        refuse(stream, 'unauthorized');
      });
    });
  });
  return () => {
    draining = true;
  };
}

/** Returns the function that takes over a socket after its opening handshake. */
function attacher(deps: UpgradeDeps) {
  const { config, connections, backplane, counters, stalls, gate, log } = deps;
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
    stream: Socket,
    request: IncomingMessage,
    budget: AddressBudget,
  ) => {
    const origin = { budget, request: gate.join ? request : undefined };
    const connection = new Connection(socket, stream, origin, connectionDeps);
    const now = systemClock.monotonic();
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
      server: SERVER_NAME,
      maxMessageBytes,
    });
  };
}

/**
 * Sets `Authorization` from the token that a browser offers as a subprotocol, so that one rule reads both.
 *
 * @throws URIError if the token is not percent-encoded
 * @throws TypeError if it has characters that a header cannot have, such as a line break
 */
function presentToken(headers: IncomingHttpHeaders): void {
  const offers = headers['sec-websocket-protocol']?.split(',').map((name) => name.trim());
  const offer = offers?.find((name) => name.startsWith(TOKEN_SUBPROTOCOL));
  if (offer === undefined || headers.authorization !== undefined) return;
  const authorization = `Bearer ${decodeURIComponent(offer.slice(TOKEN_SUBPROTOCOL.length))}`;
  validateHeaderValue('authorization', authorization);
  headers.authorization = authorization;
}

function drop(this: Socket): void {
  this.destroy();
}

/**
 * Whether the origin has the host of the request. The scheme is not compared, because a proxy may end TLS. Default ports
 * are not compared, because proxies omit or add them in `Host`.
 */
const isOwnOrigin = (origin: string, host: string): boolean =>
  bareHost(origin.replace(/^https?:\/\//, '')) === bareHost(host);

/** A host without a default port and without the dot of the DNS root. */
function bareHost(host: string): string {
  const text = `http://${host}`;
  return (URL.canParse(text) ? new URL(text).host : host)
    .replace(/:(80|443)$/, '')
    .replace(/\.(?=(:\d+)?$)/, '');
}
