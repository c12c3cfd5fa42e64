// GET and DELETE /api/rooms: a paired room by its id. docs/protocol.md §3.
import type { RoomQuery } from '@couplet/protocol';
import * as wire from '@couplet/protocol/schema';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Clock } from '../platform/clock.js';
import { sendError } from '../platform/http-errors.js';
import { isMissing } from '../platform/validation.js';
import type { PairingStore } from './store.js';

const errors = { '4xx': wire.ErrorResponse, '5xx': wire.ErrorResponse };
const tags = ['pairing'];

export function roomRoutes(app: FastifyInstance, store: PairingStore, clock: Clock): void {
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

  app.delete<{ Body: RoomQuery }>(
    '/api/rooms',
    {
      schema: {
        tags,
        operationId: 'deleteRoom',
        summary: 'Delete a room; idempotent',
        description:
          'The id may come as `?roomid=` instead, for proxies that strip the body of a DELETE.',
        body: wire.RoomQuery,
        response: { 200: wire.DeleteRoomResponse, ...errors },
      },
      preValidation: roomIdFromQuery,
    },
    async ({ body }, reply) => {
      await store.deleteRoom(body.roomid);
      return reply.send({ ok: true });
    },
  );
}

async function roomIdFromQuery(request: FastifyRequest<{ Body: unknown }>): Promise<void> {
  const { body } = request;
  const query = request.query as { roomid?: unknown };
  if (isMissing((body as { roomid?: unknown } | undefined)?.roomid) && query.roomid !== undefined) {
    request.body = { roomid: query.roomid };
  }
}
