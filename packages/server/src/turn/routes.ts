// POST /api/ice-servers: TURN credentials for a device of a paired room. docs/protocol.md §3.
import type { IceServersRequest } from '@couplet/protocol';
import * as wire from '@couplet/protocol/schema';
import type { FastifyInstance } from 'fastify';
import type { Clock } from '../base/clock.js';
import { judgeClaim, type PairedSecrets } from '../base/device-secrets.js';
import { addressKey } from '../http/client-address.js';
import { sendError, sendLimited } from '../http/errors.js';
import { type InFlight, type KeyReused, type Repeatable, repeatable } from '../http/idempotency.js';
import { given } from '../http/validation.js';
import type { IceServersByRoom } from './ice-servers.js';

/** Who paired a room; declared here because this endpoint is the one who asks. */
export interface RoomMembers {
  find(roomId: string): Promise<PairedSecrets | undefined>;
  /** Marks a device as one that must prove itself from now on. */
  prove(roomId: string, deviceId: string): Promise<unknown>;
}

/** When a request with an Idempotency-Key first came; declared here for the same reason. */
export interface FirstTimes {
  firstTime(now: number, once: Repeatable): Promise<{ kind: 'first'; at: number } | KeyReused>;
}

export interface IceServersRouteDeps {
  iceServers: IceServersByRoom;
  members: RoomMembers;
  times: FirstTimes;
  inFlight: InFlight;
  clock: Clock;
  /** Whether a device must prove itself although it never has before. */
  requireSecrets: boolean;
}

export function iceServersRoute(app: FastifyInstance, deps: IceServersRouteDeps): void {
  const { iceServers, members, times, inFlight, clock, requireSecrets } = deps;
  app.post<{ Body: IceServersRequest }>(
    '/api/ice-servers',
    {
      schema: {
        tags: ['turn'],
        operationId: 'getIceServers',
        summary: 'Get ICE servers, with TURN credentials, for a device of a paired room',
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
    async (request, reply) => {
      const { roomid, client } = request.body;
      const room = await members.find(roomid);
      // One answer for "no such room" and "not your room": never 404, which clients take for a closed contact.
      const claim = room && judgeClaim(room, client, given(request.body.secret));
      const isProved = claim?.kind === 'proved';
      if (!isProved && (claim?.kind !== 'unproved' || requireSecrets)) {
        return sendError(reply, 'forbidden');
      }
      if (isProved && claim.isNew) await members.prove(roomid, client);
      const now = clock.now();
      const once = repeatable(request, now);
      // Credentials follow from the time alone: of a repeatable request the time is kept, and no credential is.
      const first = await inFlight.run(once, async () =>
        once === undefined ? { kind: 'first' as const, at: now } : times.firstTime(now, once),
      );
      if (first.kind === 'key_reused') return sendError(reply, 'idempotency_key_reused');
      const granted = iceServers.forDevice(addressKey(request.ip), roomid, client, first.at);
      if (granted.kind === 'limited') return sendLimited(reply, granted.waitSeconds);
      return reply.send({ iceServers: granted.iceServers, ttl: granted.ttlSeconds });
    },
  );
}
