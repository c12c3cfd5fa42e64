// The app below a path of an HTTP server that is not its own: Express, Fastify, or node:http as it is.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { originForm } from './hosts.js';
import { noteAnswers } from './pipelined-answers.js';
import { ignoreUpgrade } from './server.js';

/** Answers a request below the path, and hands any other on to `next`: middleware as Connect and Express have it. */
export type Middleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next: () => void,
) => void;

/**
 * Mounts the app in another HTTP server: WebSockets below the path are the app's from now on, requests are as soon as
 * the application uses the middleware returned, before anything that reads bodies. What is not below the path stays the
 * application's, and so do listening, limits of sockets and the time that a request may take.
 *
 * `await app.close()` answers what is under way and closes the app's WebSockets; the server goes on.
 *
 * @param path such as `/couplet`; clients then have `https://host/couplet` as their URL
 */
export async function mount(
  app: FastifyInstance,
  server: Server,
  path: string,
): Promise<Middleware> {
  if (!/^(\/[^/?#]+)+$/.test(path)) throw new TypeError(`not a path to mount at: ${path}`);
  const underWay = new Set<ServerResponse>();
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
      // Without a listener Node would have taken it for a request, and so does the application.
      ignoreUpgrade(server, request, stream, head);
    }
  }
  server.on('upgrade', upgrade);
  noteAnswers(server);

  return (request, response, next) => {
    const url = urlBelow(path, request.url);
    if (url === undefined) return next();
    request.url = url;
    underWay.add(response);
    response.once('close', () => underWay.delete(response));
    app.server.emit('request', request, response);
  };
}

/** What the app is asked for: the URL without the path; undefined where it is not below the path. */
function urlBelow(path: string, url = '/'): string | undefined {
  const whole = originForm(url);
  if (!whole.startsWith(path)) return undefined;
  const rest = whole.slice(path.length);
  const authority = url.slice(0, url.length - whole.length);
  if (rest === '' || rest.startsWith('?')) return `${authority}/${rest}`;
  return rest.startsWith('/') ? authority + rest : undefined;
}

/** Waits until all are answered. A request whose body has not come is none that the app could answer: it is cut off. */
async function answered(underWay: ReadonlySet<ServerResponse>): Promise<void> {
  for (const response of underWay) if (!response.req.complete) response.destroy();
  await Promise.all(
    [...underWay].map((response) => new Promise((resolve) => response.once('close', resolve))),
  );
}
