// Implements GET and DELETE /api/rooms, for a paired room by its id (docs/protocol.md §3).
import type { DeleteRoomRequest, RoomQuery } from '@couplet/protocol';
import * as wire from '@couplet/protocol/schema';
import { Type } from '@couplet/protocol/typebox';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { sendError, sendSecretRequired } from '../http/errors.js';
import { errors, given, isMissing } from '../http/validation.js';
import type { PairingServices } from './pairing.js';

const tags = ['pairing'];

/** Carries the secret of a DELETE if a proxy strips the body. Not in the query, which access logs store. */
const SECRET_HEADER = 'couplet-secret';

export function roomRoutes(app: FastifyInstance, { config, clock, store }: PairingServices): void {
  app.get<{ Querystring: RoomQuery }>(
    '/api/rooms',
    {
      schema: {
        tags,
        operationId: 'getRoom',
        summary: 'Get a room by its id',
        querystring: wire.RoomQuery,
        response: { 200: wire.RoomResponse, ...errors },
      },
    },
    async ({ query }, reply) => {
      const room = await store.findRoom(query.roomid, clock.now());
      if (room === undefined) return sendError(reply, 'not_found');
      return reply.send({ roomid: room.roomId, client1: room.client1, client2: room.client2 });
    },
  );

  app.delete<{ Body: DeleteRoomRequest }>(
    '/api/rooms',
    {
      schema: {
        tags,
        operationId: 'deleteRoom',
        summary: 'Delete a room; idempotent',
        description:
          'If a proxy strips the body of a DELETE, send the id as `?roomid=` and the secret in the `Couplet-Secret` header instead.',
        headers: Type.Object({ [SECRET_HEADER]: Type.Optional(Type.String()) }),
        body: wire.DeleteRoomRequest,
        response: { 200: wire.DeleteRoomResponse, ...errors },
      },
      preValidation: fieldsFromElsewhere,
    },
    async ({ body }, reply) => {
      const secret = given(body.secret);
      const isRequired = config.requireDeviceSecrets;
      if (isRequired && secret === undefined) return sendSecretRequired(reply);
      const proofs = { secrets: secret === undefined ? [] : [secret], isRequired };
      const outcome = await store.deleteRoom(body.roomid, proofs);
      return outcome === 'forbidden' ? sendError(reply, 'forbidden') : reply.send({ ok: true });
    },
  );
}

async function fieldsFromElsewhere(request: FastifyRequest<{ Body: unknown }>): Promise<void> {
  const { body } = request;
  if (body != null && (typeof body !== 'object' || Array.isArray(body))) return;
  const fields = { ...body } as { roomid?: unknown; secret?: unknown };
  const query = request.query as { roomid?: unknown };
  if (isMissing(fields.roomid)) fields.roomid = query.roomid;
  if (isMissing(fields.secret)) fields.secret = request.headers[SECRET_HEADER];
  request.body = fields;
}
