// The opening handshake (RFC 6455 §4.2): HTTP upgrade on `/` → Connection, wired to its inbox and its end.
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import type { Config } from '../platform/config.js';
import { endRawResponse } from '../platform/http-errors.js';
import { ignoreUpgrade } from '../platform/http-server.js';
import type { Logger } from '../platform/logger.js';
import type { Backplane } from './backplane.js';
import { Connection } from './connection.js';
import type { Connections } from './connections.js';
import { Corking } from './corking.js';
import type { Heartbeat } from './heartbeat.js';
import { type Handle, Inbox } from './inbox.js';

export interface UpgradeDeps {
  config: Pick<Config, 'maxMessageBytes' | 'maxBufferedBytes'>;
  connections: Connections;
  backplane: Backplane;
  heartbeat: Heartbeat;
  handle: Handle;
  log: Logger;
  /** What `connected` calls this server. */
  serverName: string;
}

/** How long a client may take to answer a close frame before its socket is dropped, in milliseconds. */
const CLOSE_TIMEOUT_MS = 5000;

/** Takes every upgrade of an HTTP server from now on. Returns what refuses them all: the beginning of a shutdown. */
export function acceptWebSockets(server: Server, deps: UpgradeDeps): () => void {
  const { config, connections, backplane, heartbeat, handle, log } = deps;
  const corking = new Corking();
  const options: ServerOptions & { closeTimeout: number } = {
    noServer: true,
    clientTracking: false,
    maxPayload: config.maxMessageBytes,
    // Compression costs far more memory and time than signaling messages are worth.
    perMessageDeflate: false,
    closeTimeout: CLOSE_TIMEOUT_MS,
  };
  const handshake = new WebSocketServer(options);
  let draining = false;

  const accept = (socket: WebSocket, stream: Duplex) => {
    const release = () => {
      const { seat } = connection;
      if (seat === null) return;
      backplane.depart(seat.roomId, connection.id, 'disconnect').catch((error: unknown) => {
        log.error({ conn: connection.number, err: error }, 'seat not released');
      });
    };
    const { maxBufferedBytes } = config;
    const connection = new Connection(socket, stream, corking, maxBufferedBytes, release);
    const inbox = new Inbox(connection, handle, log);
    connections.add(connection);
    heartbeat.add(connection);
    log.info({ conn: connection.number }, 'connected');
    socket.on('message', (data, isBinary) => {
      connection.unanswered = 0;
      // A binary frame is no message of the protocol; the empty text gets the answer of one that is not JSON.
      inbox.receive(isBinary ? '' : data.toString());
    });
    socket.on('pong', () => {
      connection.unanswered = 0;
    });
    // ws closes the connection itself, with the code that fits; the event must only not be unhandled.
    socket.on('error', (error) => {
      log.debug(
        { conn: connection.number, code: (error as { code?: string }).code },
        'socket error',
      );
    });
    socket.on('close', (code) => {
      heartbeat.delete(connection);
      connections.delete(connection);
      log.info({ conn: connection.number, code }, 'disconnected');
    });
    connection.send({ type: 'connected', clientId: connection.id, server: deps.serverName });
  };

  // The default of ws is an HTML page.
  handshake.on('wsClientError', (_error, stream) => {
    endRawResponse(stream as Socket, 'invalid_request', { 'sec-websocket-version': '13' });
  });
  server.on('upgrade', (request: IncomingMessage, stream: Socket, head: Buffer) => {
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
      return ignoreUpgrade(server, request, stream, head);
    }
    stream.on('error', () => stream.destroy());
    if (draining) endRawResponse(stream, 'unavailable', { 'retry-after': '1' });
    else if (pathOf(request.url) !== '/') endRawResponse(stream, 'not_found');
    else handshake.handleUpgrade(request, stream, head, (socket) => accept(socket, stream));
  });
  return () => {
    draining = true;
  };
}

function pathOf(url = '/'): string {
  return url.split('?', 1)[0] ?? url;
}
