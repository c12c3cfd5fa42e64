// Implements the opening handshake (RFC 6455 §4.2) on `/`: checks the request and attaches the socket.
import {
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  validateHeaderValue,
} from 'node:http';
import type { Socket } from 'node:net';
import { SUBPROTOCOL, TOKEN_SUBPROTOCOL } from '@couplet/protocol';
import { type ServerOptions, WebSocket, WebSocketServer } from 'ws';
import type { Cancel, Clock } from '../../base/clock.js';
import { addressKey, clientAddress, type TrustProxy } from '../../http/client-address.js';
import { endRawResponse, RETRY_AFTER_SECONDS } from '../../http/errors.js';
import { type HostRule, originForm, requestedHost } from '../../http/hosts.js';
import { afterAnswers } from '../../http/pipelined-answers.js';
import { ignoreUpgrade } from '../../http/server.js';
import { type AddressBudget, type AddressBudgets, COST } from '../../limits/address-budget.js';
import type { Config } from '../../settings/config.js';
import type { OriginRule } from '../../settings/origins.js';
import { REFUSALS, type RefusalCause, type SignalingCounters } from '../counters.js';
import type { FastLane } from '../fast-lane/fast-lane.js';
import type { Corking } from './corking.js';

/** Handles the events of a socket, by their name. */
export type SocketHandlers = Readonly<
  Record<string, ((this: ClientSocket, ...args: never[]) => void) | undefined>
>;

/** All sockets share their handlers, so none keeps closures or a table of listeners. */
export class ClientSocket extends WebSocket {
  lane!: FastLane;
  handlers: SocketHandlers | undefined;

  override emit(event: string, ...args: unknown[]): boolean {
    this.handlers?.[event]?.apply(this, args as never[]);
    return true;
  }
}

export interface UpgradeDeps {
  config: Config;
  clock: Clock;
  budgets: AddressBudgets;
  counters: SignalingCounters;
  corking: Corking;
  trust: TrustProxy;
  hostFault: HostRule;
  /** Whether pages of an origin may connect; null: all may. Clients without an origin, such as apps, may connect. */
  allowsOrigin: OriginRule | null;
  /** The embedding application's decision on the request. */
  authorize: (request: IncomingMessage) => boolean | Promise<boolean>;
  /** Takes the socket after the handshake; must uncount it from its budget when it closes. */
  accept: (
    socket: ClientSocket,
    stream: Socket,
    request: IncomingMessage,
    budget: AddressBudget,
  ) => void;
}

/** How long a client may take to answer a close frame before its socket is dropped, in milliseconds. */
const CLOSE_TIMEOUT_MS = 5000;

/** Handles all upgrades of an HTTP server. Returns the function that refuses them, for a shutdown. */
export function acceptWebSockets(server: Server, deps: UpgradeDeps): () => void {
  const { config } = deps;
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
    const word = deps.authorize(request);
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
      deps.accept(socket, stream, request, budget);
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
