// Serves POST /api/ice-servers: TURN credentials for a device of a paired room (docs/protocol.md §3).
import type { IceServersRequest } from '@couplet/protocol';
import * as wire from '@couplet/protocol/schema';
import type { FastifyInstance } from 'fastify';
import type { Clock } from '../base/clock.js';
import { judgeClaim, type PairedSecrets } from '../base/device-secrets.js';
import { sendError, sendLimited } from '../http/errors.js';
import { type InFlight, type KeyReused, type Repeatable, repeatable } from '../http/idempotency.js';
import { requestAddress } from '../http/paced-requests.js';
import { given } from '../http/validation.js';
import type { IceServersByRoom } from './ice-servers.js';

/** The paired devices of a room. Declared here because this endpoint is the consumer. */
export interface RoomMembers {
  find(roomId: string): Promise<PairedSecrets | undefined>;
  /** Records that the device has sent its secret, which is required from now on. */
  prove(roomId: string, deviceId: string): Promise<unknown>;
}

/** The time of the first request with an Idempotency-Key. Declared here because this endpoint is the consumer. */
export interface FirstTimes {
  firstTime(now: number, once: Repeatable): Promise<{ kind: 'first'; at: number } | KeyReused>;
}

export interface IceServersRouteDeps {
  iceServers: IceServersByRoom;
  members: RoomMembers;
  times: FirstTimes;
  inFlight: InFlight;
  clock: Clock;
  /** Whether the secret is required even from a device that has never sent it. */
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
          'For `new RTCPeerConnection({ iceServers })`. `room_ready` has the same servers. Call this when `ttl` has passed, before an ICE restart.',
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
      // The answer is the same for an unknown room and for a room of other devices. It is never 404, which clients treat as
      // the end of a pairing.
      const claim = room && judgeClaim(room, client, given(request.body.secret));
      const isProved = claim?.kind === 'proved';
      if (!isProved && (claim?.kind !== 'unproved' || requireSecrets)) {
        return sendError(reply, 'forbidden');
      }
      if (isProved && claim.isNew) await members.prove(roomid, client);
      const now = clock.now();
      const once = repeatable(request, now);
      // Credentials depend only on the time, so the record of a repeatable request has the time and no credentials.
      const first = await inFlight.run(once, async () =>
        once === undefined ? { kind: 'first' as const, at: now } : times.firstTime(now, once),
      );
      if (first.kind === 'key_reused') return sendError(reply, 'idempotency_key_reused');
      const granted = iceServers.forDevice(requestAddress(request), roomid, client, first.at);
      if (granted.kind === 'limited') return sendLimited(reply, granted.waitSeconds);
      return reply.send({ iceServers: granted.iceServers, ttl: granted.ttlSeconds });
    },
  );
}
