// Implements POST /api/push-token and /api/badge/reset (docs/protocol.md §3).
import type { BadgeResetRequest, PushTokenRequest } from '@couplet/protocol';
import * as wire from '@couplet/protocol/schema';
import type { FastifyInstance } from 'fastify';
import { sendError } from '../http/errors.js';
import { errors } from '../http/validation.js';
import type { PairingServices } from './pairing.js';
import { pushTargetOf } from './push-target.js';

const tags = ['push'];

export function pushTokenRoutes(
  app: FastifyInstance,
  { pairing, store, inFlight, clock }: PairingServices,
): void {
  app.post<{ Body: PushTokenRequest }>(
    '/api/push-token',
    {
      schema: {
        tags,
        operationId: 'setPushToken',
        summary: 'Renew or forget the push token of a device in a paired room',
        description: 'Without a `token`, or with null, the server forgets the one that it has.',
        body: wire.PushTokenRequest,
        response: { 200: wire.PushTokenResponse, ...errors },
      },
    },
    async (request, reply) => {
      const { body } = request;
      const target = pushTargetOf(body, 'token') ?? null;
      if (!(await pairing.isPaired(body))) return sendError(reply, 'forbidden');
      const now = clock.now();
      const outcome = await inFlight.serve(request, now, (once) =>
        store.setPushTarget(body.roomid, body.client, target, now, once),
      );
      // The room was deleted meanwhile.
      if (outcome.kind === 'not_paired') return sendError(reply, 'forbidden');
      return reply.send({ ok: true });
    },
  );

  app.post<{ Body: BadgeResetRequest }>(
    '/api/badge/reset',
    {
      schema: {
        tags,
        operationId: 'resetBadge',
        summary: 'Accept the report of an app that it has cleared its badge',
        description: 'For clients that report it. The server counts no badges, so nothing happens.',
        body: wire.BadgeResetRequest,
        response: { 200: wire.BadgeResetResponse, ...errors },
      },
    },
    async (_request, reply) => reply.send({ ok: true }),
  );
}
