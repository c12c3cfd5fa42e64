// The opening handshake (RFC 6455 §4.2): decides who may enter, then HTTP upgrade on `/` → Connection.
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { RestErrorCode } from '@couplet/protocol';
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
import type { RefusalCause, SignalingCounters } from '../counters.js';
import type { FastLane } from '../fast-lane/fast-lane.js';
import type { Admission } from './admission.js';
import type { Connection } from './connection.js';
import type { Corking } from './corking.js';
import type { Inbox } from './receive-queue.js';

/** Carries what its listeners need: they are then the same functions for all, and no connection keeps any of its own. */
export class ClientSocket extends WebSocket {
  connection!: Connection;
  inbox!: Inbox;
  lane!: FastLane;
}

export interface UpgradeDeps {
  config: Pick<Config, 'maxMessageBytes' | 'requestTimeoutSeconds'>;
  clock: Clock;
  admission: Admission;
  budgets: AddressBudgets;
  counters: SignalingCounters;
  corking: Corking;
  trust: TrustProxy;
  hostFault: HostRule;
  /** Whether pages of an origin may connect; null: any may. A client that is no browser sends none, and may. */
  allowsOrigin: OriginRule | null;
  /** Whether this server has pages of its own, which may connect from its own origin. */
  ownPages: boolean;
  /** The embedding application's word on who may connect. */
  authorize: (request: IncomingMessage) => boolean | Promise<boolean>;
  /** Takes a connection whose handshake is done; when it has gone, it is to leave the admission. */
  accept: (
    socket: ClientSocket,
    stream: Socket,
    request: IncomingMessage,
    budget: AddressBudget,
  ) => void;
}

/** How long a client may take to answer a close frame before its socket is dropped, in milliseconds. */
const CLOSE_TIMEOUT_MS = 5000;

const REFUSALS: Record<RefusalCause, RestErrorCode> = {
  total: 'unavailable',
  address: 'unavailable',
  budget: 'rate_limited',
  draining: 'unavailable',
  host: 'forbidden',
  origin: 'forbidden',
  path: 'not_found',
  unauthorized: 'unauthorized',
  handshake: 'invalid_request',
};

/** Takes every upgrade of an HTTP server from now on. Returns what refuses them all: the beginning of a shutdown. */
export function acceptWebSockets(server: Server, deps: UpgradeDeps): () => void {
  const options: ServerOptions<typeof ClientSocket> & { closeTimeout: number } = {
    noServer: true,
    WebSocket: ClientSocket,
    clientTracking: false,
    maxPayload: deps.config.maxMessageBytes,
    // Compression costs far more memory and time than signaling messages are worth.
    perMessageDeflate: false,
    // A ping is answered by the connection, within its bounds.
    autoPong: false,
    closeTimeout: CLOSE_TIMEOUT_MS,
    // There is no subprotocol: without this, ws selects the first that is offered.
    handleProtocols: () => false,
  };
  const handshake = new WebSocketServer(options);
  let draining = false;

  const refuse = (stream: Socket, cause: RefusalCause) => {
    deps.counters.refusals[cause] += 1;
    endRawResponse(stream, REFUSALS[cause], {
      ...(cause === 'handshake' ? { 'sec-websocket-version': '13' } : {}),
      ...(RETRY.has(cause) ? { 'retry-after': String(RETRY_AFTER_SECONDS) } : {}),
    });
  };

  /** What is decided before anything is done for the request. */
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
    const { origin } = request.headers;
    if (deps.allowsOrigin === null || origin === undefined || deps.allowsOrigin(origin)) {
      return undefined;
    }
    return deps.ownPages && isOwnOrigin(origin, requestedHost(request)) ? undefined : 'origin';
  };

  /** The application's word; one that does not come within the time of a request is a no. */
  const inTime = async (word: Promise<boolean>): Promise<boolean> => {
    let cancel: Cancel = () => {};
    const late = new Promise<boolean>((resolve) => {
      cancel = deps.clock.after(deps.config.requestTimeoutSeconds * 1000, () => resolve(false));
    });
    return Promise.race([word, late]).finally(() => cancel());
  };

  const upgrade = async (request: IncomingMessage, stream: Socket, head: Buffer) => {
    const budget = deps.budgets.of(addressKey(clientAddress(request, deps.trust)));
    const admitted = objection(request, budget) ?? deps.admission.enter(budget);
    if (admitted !== 'admitted') return refuse(stream, admitted);
    const exit = () => deps.admission.exit(budget);
    // Until the handshake is done, the end of the socket is the end of its admission.
    stream.once('close', exit);
    const word = deps.authorize(request);
    if (!(typeof word === 'boolean' ? word : await inTime(word))) {
      return refuse(stream, 'unauthorized');
    }
    if (draining) return refuse(stream, 'draining');
    // The answer and the first message leave together.
    deps.corking.hold(stream);
    handshake.handleUpgrade(request, stream, head, (socket) => {
      // Nothing of the handshake is kept for as long as the connection lives, the request least of all.
      stream.off('close', exit);
      stream.off('error', drop);
      deps.accept(socket, stream, request, budget);
    });
  };

  // The default of ws is an HTML page.
  handshake.on('wsClientError', (_error, stream) => refuse(stream as Socket, 'handshake'));
  server.on('upgrade', (request: IncomingMessage, stream: Socket, head: Buffer) => {
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
      return ignoreUpgrade(server, request, stream, head);
    }
    afterAnswers(stream, (pipelined) => {
      stream.on('error', drop);
      // No client of RFC 6455 asks behind unanswered requests: what follows may be meant for HTTP, and not as frames.
      if (pipelined) return refuse(stream, 'handshake');
      upgrade(request, stream, head).catch(() => {
        // The embedding application's hook failed: nobody enters on a failure.
        refuse(stream, 'unauthorized');
      });
    });
  });
  return () => {
    draining = true;
  };
}

function drop(this: Socket): void {
  this.destroy();
}

/**
 * Whether a page came from the host that it asks. Behind a proxy that ends TLS, only the proxy knows the scheme, and proxies
 * leave a default port out of `Host` or add one.
 */
const isOwnOrigin = (origin: string, host: string): boolean =>
  bareHost(origin.replace(/^https?:\/\//, '')) === bareHost(host);

/** A host as browsers write it, without a default port and without the dot of the DNS root. */
function bareHost(host: string): string {
  const text = `http://${host}`;
  return (URL.canParse(text) ? new URL(text).host : host)
    .replace(/:(80|443)$/, '')
    .replace(/\.(?=(:\d+)?$)/, '');
}

const RETRY: ReadonlySet<RefusalCause> = new Set(['total', 'address', 'budget', 'draining']);
