// Implements GET /rooms, which lists the rooms with members, for debugging.
import { ROOM_SEATS } from '@couplet/protocol';
import * as wire from '@couplet/protocol/schema';
import type { FastifyInstance, preHandlerAsyncHookHandler } from 'fastify';
import { budgetOf } from '../http/paced-requests.js';
import { COST } from '../limits/address-budget.js';
import type { Backplane } from './backplane.js';

/** @param guard - refuses callers that may not see room ids, because a room id is enough to enter a room */
export function roomListRoute(
  app: FastifyInstance,
  backplane: Backplane,
  guard: preHandlerAsyncHookHandler,
): void {
  app.get(
    '/rooms',
    {
      preHandler: guard,
      schema: {
        tags: ['debug'],
        operationId: 'listRooms',
        summary: 'List the rooms that have members now, for the operator',
        response: { 200: wire.RoomListResponse, '4xx': wire.ErrorResponse },
      },
    },
    async (request) => {
      budgetOf(request.raw)?.charge(COST.scrape);
      const rooms = (await backplane.rooms()).map(({ roomId, members }) => ({
        roomId,
        userCount: members,
        full: members === ROOM_SEATS,
      }));
      return { rooms, totalRooms: rooms.length };
    },
  );
}
