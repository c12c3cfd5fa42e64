// Serves GET /api/push: which devices this server can wake (docs/protocol.md §3).
import * as wire from '@couplet/protocol/schema';
import type { FastifyInstance } from 'fastify';
import { errors } from '../http/validation.js';
import type { Notifier } from './notifier.js';

export function pushRoute(
  app: FastifyInstance,
  { platforms, vapidPublicKey }: Pick<Notifier, 'platforms' | 'vapidPublicKey'>,
): void {
  app.get(
    '/api/push',
    {
      schema: {
        tags: ['push'],
        operationId: 'getPush',
        summary: 'List the platforms whose devices this server can wake',
        description: 'A browser subscribes to the Push API with `vapidPublicKey`.',
        response: { 200: wire.PushResponse, ...errors },
      },
    },
    async (_request, reply) => reply.send({ platforms: [...platforms], vapidPublicKey }),
  );
}
