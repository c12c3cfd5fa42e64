// Serves GET /, which shows people and probes that the server is running.
import type { FastifyInstance } from 'fastify';
import { SERVER_NAME } from '../base/version.js';

const page = (hasDemo: boolean) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>${SERVER_NAME}</title>
<style>
  body { font: 1.05rem/1.6 system-ui, sans-serif; max-width: 34rem; margin: 18vh auto 0; padding: 0 1.5rem; }
  h1 { font-size: 1.6rem; margin: 0 0 .5rem; }
  h1::before { content: ""; display: inline-block; width: .6em; height: .6em; margin-right: .5em; border-radius: 50%; background: #2da44e; }
  p { margin: 0 0 1rem; }
  code { font-size: .95em; }
</style>
<h1>${SERVER_NAME} is running</h1>
<p>This server pairs two devices by a six-digit code and connects them peer to peer.</p>
${hasDemo ? DEMO : ''}<p>The API is described in <a href="openapi.json"><code>openapi.json</code></a>. WebSocket signaling uses this same address.</p>
</html>
`;

const DEMO = '<p><a href="demo/">Try it</a> with two devices, or two tabs of this browser.</p>\n';

const TEXT = `${SERVER_NAME} is running\n`;

/** `hasDemo` is called for each request, because the routes of the demo are added later. */
export function healthRoutes(app: FastifyInstance, hasDemo: () => boolean): void {
  app.get('/', { schema: { hide: true } }, async (request, reply) => {
    const wantsPage = request.headers.accept?.includes('text/html') ?? false;
    return reply
      .header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'")
      .type(wantsPage ? 'text/html; charset=utf-8' : 'text/plain; charset=utf-8')
      .send(wantsPage ? page(hasDemo()) : TEXT);
  });
}
