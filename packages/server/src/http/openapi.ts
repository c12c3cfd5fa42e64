// The OpenAPI 3.1 document, made from the schemas that validate: GET /openapi.json.
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
    { name: 'debug', description: 'For operators.' },
  ],
  security: [],
};

type Described = Pick<RouteOptions, 'method' | 'url' | 'schema' | 'constraints'>;

/**
 * Notes every route that is registered after this call; the document is made of them when it is first asked for. Few
 * servers ever are, and what makes it is a hundred files, which each start would wait for.
 *
 * @param newApp - makes an app without routes, which never listens
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
      // Its modules could not be loaded, perhaps: they may be the next time.
      document = undefined;
      throw error;
    });
    return document;
  });
}

/** The plugin describes only an app that has it from the start: here one with the same routes, which serves none. */
async function describe(routes: readonly Described[], app: FastifyInstance): Promise<object> {
  const { default: swagger } = await import('@fastify/swagger');
  await app.register(swagger, { openapi: OPENAPI });
  for (const route of routes) app.route({ ...route, handler: () => {} });
  await app.ready();
  return app.swagger();
}
