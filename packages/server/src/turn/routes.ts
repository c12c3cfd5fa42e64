// POST /api/ice-servers: TURN credentials for a device of a paired room. docs/protocol.md §3.
import type { IceServersRequest } from '@couplet/protocol';
import * as wire from '@couplet/protocol/schema';
import type { FastifyInstance } from 'fastify';
import { sendError } from '../platform/http-errors.js';
import type { IceServersByRoom } from './ice-servers.js';

/** Who paired a room; declared here because this endpoint is the one who asks. */
export interface RoomMembers {
  find(roomId: string): Promise<{ client1: string; client2: string } | undefined>;
}

/** @param members - undefined where the rooms API is off: then nobody is a device of a paired room */
export function iceServersRoute(
  app: FastifyInstance,
  iceServers: IceServersByRoom,
  members: RoomMembers | undefined,
): void {
  const url = '/api/ice-servers';
  if (members === undefined) {
    app.post(url, { schema: { hide: true } }, (_request, reply) =>
      sendError(reply, 'rooms_api_disabled'),
    );
    return;
  }
  app.post<{ Body: IceServersRequest }>(
    url,
    {
      schema: {
        tags: ['turn'],
        operationId: 'getIceServers',
        summary: 'Get ICE servers, with fresh TURN credentials, for a device of a paired room',
        description:
          'For `new RTCPeerConnection({ iceServers })`. The same comes with `room_ready`; ask here when `ttl` has passed, before an ICE restart.',
        body: wire.IceServersRequest,
        response: {
          200: wire.IceServersResponse,
          '4xx': wire.ErrorResponse,
          '5xx': wire.ErrorResponse,
        },
      },
    },
    async ({ body }, reply) => {
      const { roomid, client } = body;
      const room = await members.find(roomid);
      // One answer for "no such room" and "not your room": never 404, which clients take for a closed contact.
      if (room === undefined || (client !== room.client1 && client !== room.client2)) {
        return sendError(reply, 'forbidden');
      }
      return reply.header('cache-control', 'no-store').send({
        iceServers: iceServers.forDevice(roomid, client),
        ttl: iceServers.ttlSeconds,
      });
    },
  );
}
