// Serves GET /client.js, the client for any page to import, /demo/, the demo page, and /docs/, the documentation, if it is built.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { isFromThisMachine } from '../http/admin.js';
import type { HttpServices } from '../http/services.js';
import { type PageFile, pageFile, readPages } from './files.js';

export interface PagesDeps extends HttpServices {
  /** Folder of the built pages. */
  folder: string;
  /** Whether to serve the demo. The client is always served. */
  demo: boolean;
  /** Origins at which devices of the local network reach this server, the best one first. */
  lanOrigins: () => string[];
}

/** Allows only resources of this origin, none of them inline. 'self' includes the WebSocket of this origin (CSP 3). */
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

/** Vue sets style attributes in the pages of the documentation, and the theme embeds icons as data. */
const DOCS_HEADERS = {
  'content-security-policy': CONTENT_SECURITY_POLICY.replace(
    "style-src 'self'",
    "style-src 'self' 'unsafe-inline'",
  ),
  'referrer-policy': 'no-referrer',
};

const DEMO_HEADERS = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'permissions-policy': 'camera=(self), microphone=(self), clipboard-write=(self), geolocation=()',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};

/** Serves the built files. If files are missing, their routes do not exist, and a warning is logged. */
export function pageRoutes(app: FastifyInstance, deps: PagesDeps): void {
  const files = readPages(deps.folder);
  if (files.has('docs/index.html')) serveFolder(app, files, 'docs', DOCS_HEADERS);
  const index = files.get('demo/index.html');
  if (!files.has('client.js') || (deps.demo && index === undefined)) {
    deps.log.warn('/client.js or the demo page is missing: npm run build creates them');
    return;
  }
  for (const [name, file] of files) {
    // The client loads /client-verify-….js when an application first verifies a pairing.
    if (!name.startsWith('client')) continue;
    app.get(`/${name}`, { schema: { hide: true } }, (request, reply) => {
      // Pages of any origin may import the script, whatever ALLOWED_ORIGINS is, because a script is not secret.
      reply.headers({
        'access-control-allow-origin': '*',
        'cross-origin-resource-policy': 'cross-origin',
      });
      return send(request, reply, file);
    });
  }
  if (index === undefined || !deps.demo) return;
  files.set('demo/index.html', withDigits(index, deps.config.joinCodeDigits));
  // A page that is open as localhost shows a link that a phone can open. Other visitors learn no address of this machine.
  app.get('/demo/lan-origins', { schema: { hide: true } }, (request, reply) =>
    reply.send(isFromThisMachine(request.raw) ? deps.lanOrigins() : []),
  );
  serveFolder(app, files, 'demo', DEMO_HEADERS);
}

function serveFolder(
  app: FastifyInstance,
  files: ReadonlyMap<string, PageFile>,
  folder: string,
  headers: Record<string, string>,
): void {
  const schema = { hide: true };
  // Relative, so that a proxy may mount the server below a path. Browsers keep the fragment, which may contain a code.
  app.get(`/${folder}`, { schema }, (_request, reply) =>
    reply.code(308).header('location', `${folder}/`).send(),
  );
  app.get<{ Params: { '*': string } }>(`/${folder}/*`, { schema }, (request, reply) => {
    const file = files.get(`${folder}/${request.params['*'] || 'index.html'}`);
    if (file === undefined) return reply.callNotFound();
    return send(request, reply.headers(headers), file);
  });
}

/** Whether GET / may link to the demo. */
export const hasDemo = (app: FastifyInstance): boolean =>
  app.hasRoute({ method: 'GET', url: '/demo' });

function send(request: FastifyRequest, reply: FastifyReply, file: PageFile): FastifyReply {
  reply.headers({ etag: file.etag, 'cache-control': file.cacheControl });
  if (isKnown(request.headers['if-none-match'], file.etag)) return reply.code(304).send();
  return reply.type(file.type).send(file.body);
}

/** Implements If-None-Match (RFC 9110 §13.1.2). A compressing proxy may have made the tag weak. */
const isKnown = (header: string | undefined, etag: string): boolean =>
  header
    ?.split(',')
    .map((tag) => tag.trim().replace(/^W\//, ''))
    .some((tag) => tag === etag || tag === '*') ?? false;

/** Sets the number of digits, the only setting in the page. */
function withDigits(index: PageFile, digits: number): PageFile {
  const html = index.body.toString('utf8');
  const text = html.replace(/data-join-code-digits="\d+"/, `data-join-code-digits="${digits}"`);
  return pageFile(Buffer.from(text), index.type, false);
}
