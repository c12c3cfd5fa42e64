// The opening handshake (RFC 6455 §4.2): decides who may enter, then HTTP upgrade on `/` → Connection.
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { RestErrorCode } from '@couplet/protocol';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import { addressKey, clientAddress, type TrustProxy } from '../platform/client-address.js';
import type { Cancel, Clock } from '../platform/clock.js';
import type { Config } from '../platform/config.js';
import { endRawResponse, RETRY_AFTER_SECONDS } from '../platform/http-errors.js';
import { ignoreUpgrade } from '../platform/http-server.js';
import type { Admission } from './admission.js';
import type { RefusalCause, SignalingCounters } from './counters.js';

export interface UpgradeDeps {
  config: Pick<Config, 'maxMessageBytes' | 'requestTimeoutSeconds'>;
  clock: Clock;
  admission: Admission;
  counters: SignalingCounters;
  trust: TrustProxy;
  /** Origins from which a page may connect; null: any. A client that is no browser sends none, and may. */
  origins: readonly string[] | null;
  /** Whether this server has pages of its own, which may connect from its own origin. */
  ownPages: boolean;
  /** The embedding application's word on who may connect. */
  authorize: (request: IncomingMessage) => boolean | Promise<boolean>;
  /** Takes a connection whose handshake is done; `exit` is to be called when it has gone. */
  accept: (socket: WebSocket, stream: Duplex, request: IncomingMessage, exit: () => void) => void;
}

/** How long a client may take to answer a close frame before its socket is dropped, in milliseconds. */
const CLOSE_TIMEOUT_MS = 5000;

const REFUSALS: Record<RefusalCause, RestErrorCode> = {
  total: 'unavailable',
  address: 'unavailable',
  draining: 'unavailable',
  origin: 'forbidden',
  path: 'not_found',
  unauthorized: 'unauthorized',
  handshake: 'invalid_request',
};

/** Takes every upgrade of an HTTP server from now on. Returns what refuses them all: the beginning of a shutdown. */
export function acceptWebSockets(server: Server, deps: UpgradeDeps): () => void {
  const options: ServerOptions & { closeTimeout: number } = {
    noServer: true,
    clientTracking: false,
    maxPayload: deps.config.maxMessageBytes,
    // Compression costs far more memory and time than signaling messages are worth.
    perMessageDeflate: false,
    // A ping is answered by the connection, within its bounds.
    autoPong: false,
    closeTimeout: CLOSE_TIMEOUT_MS,
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
  const objection = (request: IncomingMessage): RefusalCause | undefined => {
    if (draining) return 'draining';
    if (request.url?.split('?', 1)[0] !== '/') return 'path';
    const { origin, host } = request.headers;
    if (deps.origins === null || origin === undefined || deps.origins.includes(origin)) {
      return undefined;
    }
    return deps.ownPages && isOwnOrigin(origin, host) ? undefined : 'origin';
  };

  /** The application's word; one that does not come within the time of a request is a no. */
  const inTime = async (word: boolean | Promise<boolean>): Promise<boolean> => {
    if (typeof word === 'boolean') return word;
    let cancel: Cancel = () => {};
    const late = new Promise<boolean>((resolve) => {
      cancel = deps.clock.after(deps.config.requestTimeoutSeconds * 1000, () => resolve(false));
    });
    return Promise.race([word, late]).finally(() => cancel());
  };

  const upgrade = async (request: IncomingMessage, stream: Socket, head: Buffer) => {
    const address = addressKey(clientAddress(request, deps.trust));
    const admitted = objection(request) ?? deps.admission.enter(address);
    if (admitted !== 'admitted') return refuse(stream, admitted);
    const exit = () => deps.admission.exit(address);
    // Until the handshake is done, the end of the socket is the end of its admission.
    stream.once('close', exit);
    if (!(await inTime(deps.authorize(request)))) return refuse(stream, 'unauthorized');
    if (draining) return refuse(stream, 'draining');
    handshake.handleUpgrade(request, stream, head, (socket) => {
      stream.off('close', exit);
      deps.accept(socket, stream, request, exit);
    });
  };

  // The default of ws is an HTML page.
  handshake.on('wsClientError', (_error, stream) => refuse(stream as Socket, 'handshake'));
  server.on('upgrade', (request: IncomingMessage, stream: Socket, head: Buffer) => {
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
      return ignoreUpgrade(server, request, stream, head);
    }
    stream.on('error', () => stream.destroy());
    upgrade(request, stream, head).catch(() => {
      // The embedding application's hook failed: nobody enters on a failure.
      refuse(stream, 'unauthorized');
    });
  });
  return () => {
    draining = true;
  };
}

/** Whether a page came from the host that it asks. Behind a proxy that ends TLS, only the proxy knows the scheme. */
const isOwnOrigin = (origin: string, host: string | undefined): boolean =>
  host !== undefined && origin.replace(/^https?:\/\//, '') === host.toLowerCase();

const RETRY: ReadonlySet<RefusalCause> = new Set(['total', 'address', 'draining']);
