// Serves POST /api/ice-servers: TURN credentials for a device of a paired room (docs/protocol.md §3).
import type { IceServersRequest } from '@couplet/protocol';
import * as wire from '@couplet/protocol/schema';
import type { FastifyInstance } from 'fastify';
import type { Clock } from '../base/clock.js';
import { sendError, sendLimited } from '../http/errors.js';
import type { InFlight, KeyReused, Repeatable } from '../http/idempotency.js';
import { requestAddress } from '../http/paced-requests.js';
import { errors } from '../http/validation.js';
import type { IceServersByRoom } from './ice-servers.js';

/** The time of the first request with an Idempotency-Key. Declared here because this endpoint is the consumer. */
export interface FirstTimes {
  firstTime(now: number, once: Repeatable): Promise<{ kind: 'first'; at: number } | KeyReused>;
}

export interface IceServersRouteDeps {
  iceServers: IceServersByRoom;
  /** Whether the request comes from a device of its room. */
  isPaired(request: IceServersRequest): Promise<boolean>;
  times: FirstTimes;
  inFlight: InFlight;
  clock: Clock;
}

export function iceServersRoute(app: FastifyInstance, deps: IceServersRouteDeps): void {
  const { iceServers, isPaired, times, inFlight, clock } = deps;
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
        response: { 200: wire.IceServersResponse, ...errors },
      },
    },
    async (request, reply) => {
      const { roomid, client } = request.body;
      if (!(await isPaired(request.body))) return sendError(reply, 'forbidden');
      const now = clock.now();
      // Credentials depend only on the time, so the record of a repeatable request has the time and no credentials.
      const first = await inFlight.serve(request, now, async (once) =>
        once === undefined ? { kind: 'first' as const, at: now } : times.firstTime(now, once),
      );
      const granted = iceServers.forDevice(requestAddress(request), roomid, client, first.at);
      if (granted.kind === 'limited') return sendLimited(reply, granted.waitSeconds);
      return reply.send({ iceServers: granted.iceServers, ttl: granted.ttlSeconds });
    },
  );
}
