// Mounts the app below a path of another HTTP server: Express, Fastify or plain node:http.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { originForm } from './hosts.js';
import { noteAnswers } from './pipelined-answers.js';
import { ignoreUpgrade } from './server.js';

/** Middleware as in Connect and Express: answers a request below the path, and calls `next` for any other. */
export type Middleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next: () => void,
) => void;

/**
 * Mounts the app in another HTTP server. The app serves WebSockets below the path from now on. It serves requests as soon
 * as the application uses the returned middleware, which must come before middleware that reads bodies. The application
 * serves all other paths, listens, limits sockets, and sets request timeouts.
 *
 * `await app.close()` answers the app's running requests and closes its WebSockets. The HTTP server continues.
 *
 * @param path such as `/couplet`; the URL for clients is then `https://host/couplet`
 */
export async function mount(
  app: FastifyInstance,
  server: Server,
  path: string,
): Promise<Middleware> {
  if (!/^(\/[^/?#]+)+$/.test(path))
    throw new TypeError(`expected a mount path such as /couplet, got: ${path}`);
  /** Unfinished answers by connection, because an answer whose connection ends before its turn never closes. */
  const underWay = new Map<Duplex, Set<ServerResponse>>();
  app.addHook('preClose', () => answered(underWay));
  app.addHook('onClose', async () => {
    server.off('upgrade', upgrade);
  });
  await app.ready();

  function upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const url = urlBelow(path, request.url);
    if (url !== undefined && request.headers.upgrade?.toLowerCase() === 'websocket') {
      request.url = url;
      app.server.emit('upgrade', request, stream, head);
    } else if (url !== undefined || server.listenerCount('upgrade') === 1) {
      // Without a listener, Node handles an upgrade as a request, so the application gets it as one.
      ignoreUpgrade(server, request, stream, head);
    }
  }
  server.on('upgrade', upgrade);
  noteAnswers(server);

  return (request, response, next) => {
    const url = urlBelow(path, request.url);
    if (url === undefined) return next();
    request.url = url;
    const { socket } = request;
    const due = underWay.get(socket) ?? new Set();
    if (!underWay.has(socket)) socket.once('close', () => underWay.delete(socket));
    underWay.set(socket, due.add(response));
    response.once('close', () => due.delete(response));
    app.server.emit('request', request, response);
  };
}

/** Returns the URL without the mount path, or undefined if it is not below that path. */
function urlBelow(path: string, url = '/'): string | undefined {
  const whole = originForm(url);
  if (!whole.startsWith(path)) return undefined;
  const rest = whole.slice(path.length);
  const authority = url.slice(0, url.length - whole.length);
  if (rest === '' || rest.startsWith('?')) return `${authority}/${rest}`;
  return rest.startsWith('/') ? authority + rest : undefined;
}

/** Waits until all requests are answered. A request whose body has not arrived cannot be answered; it is cut off. */
async function answered(underWay: ReadonlyMap<Duplex, ReadonlySet<ServerResponse>>): Promise<void> {
  const closed = (stream: Duplex | ServerResponse) =>
    new Promise<void>((resolve) => void stream.once('close', resolve));
  await Promise.all(
    [...underWay].map(([socket, due]) => {
      for (const response of due) if (!response.req.complete) response.destroy();
      return Promise.race([closed(socket), Promise.all([...due].map(closed))]);
    }),
  );
}
