// Serves GET /openapi.json, the OpenAPI 3.1 document, which is generated from the validation schemas.
import type { FastifyInstance, RouteOptions } from 'fastify';
import { VERSION } from '../base/version.js';

const OPENAPI = {
  openapi: '3.1.0',
  info: {
    title: 'Couplet',
    version: VERSION,
    description:
      'Pairs two devices by a six-digit code. Signaling by WebSocket is described in docs/protocol.md and docs/asyncapi.yaml.',
    license: { name: 'MIT', identifier: 'MIT' },
  },
  servers: [{ url: '/', description: 'This server.' }],
  tags: [
    { name: 'pairing', description: 'From a join code to a room.' },
    { name: 'turn', description: 'ICE servers for RTCPeerConnection.' },
    { name: 'push', description: 'Push notifications for devices that are not connected.' },
    { name: 'debug', description: 'For operators.' },
  ],
  security: [],
};

type Described = Pick<RouteOptions, 'method' | 'url' | 'schema' | 'constraints'>;

/**
 * Collects every route that is registered after this call. The document is generated at the first request for it, because
 * the generator consists of a hundred files, and loading them would delay every start.
 *
 * @param newApp - creates an app without routes, which never listens
 */
export function describeRoutes(app: FastifyInstance, newApp: () => FastifyInstance): void {
  const routes: Described[] = [];
  app.addHook('onRoute', ({ method, url, schema = {}, constraints = {} }) => {
    if (method === 'HEAD' || schema.hide) return;
    routes.push({ method, url, schema, constraints });
  });
  let document: Promise<object> | undefined;
  app.get('/openapi.json', { schema: { hide: true } }, () => {
    document ??= describe(routes, newApp()).catch((error: unknown) => {
      // A later attempt to load the modules may succeed.
      document = undefined;
      throw error;
    });
    return document;
  });
}

/** Creates an app with the same routes only for the plugin, which must be registered before any route. */
async function describe(routes: readonly Described[], app: FastifyInstance): Promise<object> {
  const { default: swagger } = await import('@fastify/swagger');
  await app.register(swagger, { openapi: OPENAPI });
  for (const route of routes) app.route({ ...route, handler: () => {} });
  await app.ready();
  return app.swagger();
}
