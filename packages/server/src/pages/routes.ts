// GET /client.js and /demo/: the client for any page to import, and a page to try it. docs/operations.md, "The demo page".
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from '../observability/logger.js';
import { type PageFile, pageFile, readPages } from './files.js';

export interface PagesDeps {
  /** With the build of the pages. */
  folder: string;
  /** Whether there is a demo; the client is there in any case. */
  demo: boolean;
  /** Of a join code; the page asks for as many. */
  joinCodeDigits: number;
  log: Logger;
}

/** Everything of its own, nothing from elsewhere, nothing inline. 'self' includes the WebSocket of this origin (CSP 3). */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  'media-src blob:',
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const DEMO_HEADERS = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'permissions-policy': 'camera=(self), microphone=(self), clipboard-write=(self), geolocation=()',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};

/** Serves what was built. Where something is missing, its routes are missing, and the log says so. */
export function pageRoutes(app: FastifyInstance, deps: PagesDeps): void {
  const files = readPages(deps.folder);
  const index = files.get('demo/index.html');
  if (!files.has('client.js') || (deps.demo && index === undefined)) {
    deps.log.warn('no /client.js and no demo page: npm run build makes them');
    return;
  }
  for (const name of ['client.js', 'client.js.map']) {
    const file = files.get(name);
    if (file === undefined) continue;
    app.get(`/${name}`, { schema: { hide: true } }, (request, reply) => {
      // For modules of any page: a script is no secret, whatever ALLOWED_ORIGINS says of the API.
      reply.headers({
        'access-control-allow-origin': '*',
        'cross-origin-resource-policy': 'cross-origin',
      });
      return send(request, reply, file);
    });
  }
  if (index === undefined || !deps.demo) return;
  files.set('demo/', withDigits(index, deps.joinCodeDigits));
  // Relative, so that a proxy may mount the server below a path. The fragment, with its code, goes along.
  app.get('/demo', { schema: { hide: true } }, (_request, reply) =>
    reply.code(308).header('location', 'demo/').send(),
  );
  app.get<{ Params: { '*': string } }>('/demo/*', { schema: { hide: true } }, (request, reply) => {
    const file = files.get(`demo/${request.params['*']}`);
    if (file === undefined) return reply.callNotFound();
    return send(request, reply.headers(DEMO_HEADERS), file);
  });
}

/** Whether GET / may send people to the demo. */
export const hasDemo = (app: FastifyInstance): boolean =>
  app.hasRoute({ method: 'GET', url: '/demo' });

function send(request: FastifyRequest, reply: FastifyReply, file: PageFile): FastifyReply {
  reply.headers({ etag: file.etag, 'cache-control': file.cacheControl });
  if (isKnown(request.headers['if-none-match'], file.etag)) return reply.code(304).send();
  return reply.type(file.type).send(file.body);
}

/** If-None-Match (RFC 9110 §13.1.2); a proxy that compresses may have made the tag a weak one. */
const isKnown = (header: string | undefined, etag: string): boolean =>
  header
    ?.split(',')
    .map((tag) => tag.trim().replace(/^W\//, ''))
    .some((tag) => tag === etag || tag === '*') ?? false;

/** The page as this server needs it: the number of digits is the one setting that the page must know. */
function withDigits(index: PageFile, digits: number): PageFile {
  const html = index.body.toString('utf8');
  const text = html.replace(/data-join-code-digits="\d+"/, `data-join-code-digits="${digits}"`);
  return pageFile(Buffer.from(text), index.type, false);
}
