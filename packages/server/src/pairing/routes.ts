// The rooms API: REST edge of pairing. Wire spellings (`joinid`, `roomid`) stop here. docs/protocol.md §3.
import type {
  AcceptRequest,
  CheckRequest,
  CreatePendingRequest,
  PurgeRequest,
  RoomQuery,
} from '@couplet/protocol';
import { MAX_PURGE_IDS } from '@couplet/protocol';
import * as wire from '@couplet/protocol/schema';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { assertNever } from '../platform/assert-never.js';
import type { Clock } from '../platform/clock.js';
import { RequestFault, sendError } from '../platform/http-errors.js';
import { isMissing } from '../platform/validation.js';
import type { Pairing } from './pairing.js';
import { preferredWaitSeconds } from './prefer.js';
import type { PairingStore } from './store.js';

/** A purge of the most ids there may be, each of the greatest length and fully escaped, is larger than other bodies. */
const MAX_PURGE_BODY_BYTES = 2_097_152;

const noContent = Type.Null({ description: 'Still waiting; no body.' });
const errors = { '4xx': wire.ErrorResponse, '5xx': wire.ErrorResponse };
const tags = ['pairing'];

/** Registers every endpoint under /api that needs the store. */
export function pairingRoutes(
  app: FastifyInstance,
  pairing: Pairing,
  store: PairingStore,
  clock: Clock,
): void {
  app.post<{ Body: CreatePendingRequest }>(
    '/api/rooms',
    {
      schema: {
        tags,
        operationId: 'createPending',
        summary: 'Create a pending with a join code',
        description:
          'The same device may send its own still-waiting code again: its life starts anew, so a retry is safe.',
        body: wire.CreatePendingRequest,
        response: { 201: wire.CreatePendingResponse, ...errors },
      },
    },
    async ({ body }, reply) => {
      const outcome = await pairing.create(body.joinid, body.client1, body.expiresInSeconds);
      switch (outcome.kind) {
        case 'created':
          return reply.code(201).send({ ok: true, exp: new Date(outcome.expiresAt).toISOString() });
        case 'conflict':
          return sendError(reply, 'conflict');
        default:
          return assertNever(outcome);
      }
    },
  );

  app.post<{ Body: AcceptRequest }>(
    '/api/rooms/accept',
    {
      schema: {
        tags,
        operationId: 'acceptPending',
        summary: 'Accept a join code and make the room',
        description: 'Of any number of racing accepts exactly one wins.',
        body: wire.AcceptRequest,
        response: { 200: wire.RoomIdResponse, ...errors },
      },
    },
    async ({ body }, reply) => {
      const outcome = await pairing.accept(body.joinid, body.client2);
      switch (outcome.kind) {
        case 'accepted':
          return reply.send({ roomid: outcome.roomId });
        case 'own_code':
          return sendError(reply, 'invalid_client2', {
            field: 'client2',
            details: 'a device cannot accept its own code',
          });
        case 'conflict':
        case 'not_found_or_expired':
          return sendError(reply, outcome.kind);
        default:
          return assertNever(outcome);
      }
    },
  );

  app.post<{ Body: CheckRequest }>(
    '/api/rooms/check',
    {
      schema: {
        tags,
        operationId: 'checkPending',
        summary: 'Ask whether the code has been accepted',
        description:
          'An accepted pending is deleted with the answer. `Prefer: wait=N` (RFC 7240, up to 30 s) holds the answer until there is one.',
        headers: Type.Object({ prefer: Type.Optional(Type.String({ examples: ['wait=30'] })) }),
        body: wire.CheckRequest,
        response: { 200: wire.RoomIdResponse, 204: noContent, ...errors },
      },
    },
    async (request, reply) => {
      const { joinid, client1 } = request.body;
      const wait = preferredWaitSeconds(request.headers.prefer?.toString());
      if (wait !== undefined) reply.header('preference-applied', `wait=${wait}`);
      const gone = wait ? goneSignal(reply) : NEVER_GONE;
      const outcome = await pairing.check(joinid, client1, wait ?? 0, gone);
      switch (outcome.kind) {
        case 'collected':
          return reply.send({ roomid: outcome.roomId });
        case 'waiting':
          return reply.code(204).send();
        case 'not_found_or_expired':
          return sendError(reply, outcome.kind);
        default:
          return assertNever(outcome);
      }
    },
  );

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

  app.post<{ Body: PurgeRequest | undefined }>(
    '/api/user/purge',
    {
      bodyLimit: MAX_PURGE_BODY_BYTES,
      schema: {
        tags,
        operationId: 'purgeDevices',
        summary: 'Delete every room and pending of one or more devices',
        body: wire.PurgeRequest,
        response: { 200: wire.PurgeResponse, ...errors },
      },
      // A purge has error codes of its own, which no schema can name.
      validatorCompiler: () => (value: unknown) => ({ value }),
    },
    async ({ body }, reply) => {
      const deviceIds = namedDevices(body);
      const counts = await store.purge(deviceIds);
      return reply.send({ success: true, deviceIdCount: deviceIds.length, ...counts });
    },
  );
}

/** What stands at the place of the rooms API when there is no store: 404 with a code that says why, whatever is sent. */
export function disabledPairingRoutes(app: FastifyInstance): void {
  const disabled = async (_request: FastifyRequest, reply: FastifyReply) =>
    sendError(reply, 'rooms_api_disabled');
  for (const url of ['/api/rooms', '/api/rooms/*', '/api/user/purge']) {
    app.route({
      method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
      url,
      schema: { hide: true },
      // Before the body is read: no fault of it may hide the reason.
      onRequest: disabled,
      handler: disabled,
    });
  }
}

const NEVER_GONE = new AbortController().signal;

/** Aborts when the client hangs up before it is answered. */
function goneSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  // It may be gone already: the event has then passed.
  if (reply.raw.destroyed) gone.abort();
  else reply.raw.once('close', () => gone.abort());
  return gone.signal;
}

async function roomIdFromQuery(request: FastifyRequest<{ Body: unknown }>): Promise<void> {
  const { body } = request;
  const query = request.query as { roomid?: unknown };
  if (isMissing((body as { roomid?: unknown } | undefined)?.roomid) && query.roomid !== undefined) {
    request.body = { roomid: query.roomid };
  }
}

const deviceId = Compile(wire.DeviceId);

/** The devices a purge names: the array where there is one, else the single id of older clients. */
function namedDevices(body: unknown): readonly string[] {
  const fields = body ?? {};
  if (typeof fields !== 'object' || Array.isArray(fields)) {
    throw new RequestFault('invalid_json', { details: 'the body must be an object' });
  }
  const { deviceIds, deviceId: single } = fields as Record<string, unknown>;
  if (isMissing(deviceIds) && isMissing(single)) {
    throw new RequestFault('missing_deviceIds_or_deviceId');
  }
  const named = isMissing(deviceIds) ? [single] : deviceIds;
  if (!Array.isArray(named)) {
    throw new RequestFault('invalid_device_ids', {
      count: 1,
      details: 'deviceIds must be an array',
    });
  }
  if (named.length === 0) throw new RequestFault('empty_deviceIds_array');
  if (named.length > MAX_PURGE_IDS) {
    throw new RequestFault('invalid_device_ids', {
      count: named.length,
      details: `at most ${MAX_PURGE_IDS} ids`,
    });
  }
  const invalid = named.filter((id) => !deviceId.Check(id)).length;
  if (invalid > 0) throw new RequestFault('invalid_device_ids', { count: invalid });
  return named;
}
