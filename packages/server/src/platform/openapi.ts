// The OpenAPI 3.1 document, made from the schemas that validate: GET /openapi.json.
import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { VERSION } from './version.js';

/** Collects the schemas of every route that is registered after this call. */
export async function describeRoutes(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
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
    },
  });
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger());
}
