// Implements POST /api/rooms, /accept, /check and /cancel (docs/protocol.md §3).
// The wire spellings `joinid` and `roomid` are used only here and in the other route files.
import {
  type AcceptRequest,
  type CancelRequest,
  type CheckRequest,
  type CreatePendingRequest,
  MAX_WAIT_SECONDS,
} from '@couplet/protocol';
import * as wire from '@couplet/protocol/schema';
import { Type } from '@couplet/protocol/typebox';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { sendError, sendLimited, sendSecretRequired } from '../http/errors.js';
import { requestAddress } from '../http/paced-requests.js';
import { errors, given } from '../http/validation.js';
import type { GuessRequest } from './guesses.js';
import type { PairingServices } from './pairing.js';
import { pushTargetOf } from './push-target.js';
import type { Guess } from './store.js';

/** `Retry-After` for a device or an address with too many pendings, in seconds: one may have expired by then. */
const TOO_MANY_RETRY_SECONDS = 60;

const noContent = Type.Null({ description: 'Still waiting; no body.' });
const tags = ['pairing'];

export function pendingRoutes(
  app: FastifyInstance,
  { config, clock, pairing, store, guesses, inFlight }: PairingServices,
): void {
  const requests = wire.pairingRequests(config.joinCodeDigits);

  /** Returns a function that runs calls of the store which may be failed guesses. */
  const guarded = (request: FastifyRequest, kind: GuessRequest) => {
    const { socket } = request.raw;
    const client = { address: requestAddress(request), isGone: () => socket.destroyed };
    return <T extends { kind: string }>(run: (guess?: Guess) => Promise<T>): Promise<T> =>
      guesses.run(kind, { run, ...client });
  };

  app.post<{ Body: CreatePendingRequest }>(
    '/api/rooms',
    {
      config: { direct: true },
      schema: {
        tags,
        operationId: 'createPending',
        summary: 'Create a pending with a join code',
        description:
          'The same device may create its own waiting code again: the lifetime restarts, so a retry is safe.',
        body: requests.create,
        response: { 201: wire.CreatePendingResponse, ...errors },
      },
    },
    async (request, reply) => {
      const { joinid: joinCode, client1, expiresInSeconds, secret } = request.body;
      const push = pushTargetOf(request.body, 'client1_token');
      const address = requestAddress(request);
      const pending = { joinCode, client1, address, proof: given(secret), push };
      const attempt = guarded(request, 'create');
      const outcome = await inFlight.serve(request, clock.now(), (once) =>
        attempt((guess) => pairing.create(pending, expiresInSeconds, once, guess)),
      );
      switch (outcome.kind) {
        case 'created':
          return reply.code(201).send({
            ok: true,
            exp: new Date(outcome.expiresAt).toISOString(),
            secret: outcome.secret,
          });
        case 'too_many':
          return sendLimited(reply, TOO_MANY_RETRY_SECONDS);
        default:
          return sendError(reply, outcome.kind);
      }
    },
  );

  app.post<{ Body: AcceptRequest }>(
    '/api/rooms/accept',
    {
      config: { direct: true },
      schema: {
        tags,
        operationId: 'acceptPending',
        summary: 'Accept a join code and create the room',
        description: 'If several clients accept the same code at once, exactly one succeeds.',
        body: requests.accept,
        response: { 200: wire.AcceptResponse, ...errors },
      },
    },
    async (request, reply) => {
      const { joinid, client2 } = request.body;
      const push = pushTargetOf(request.body, 'client2_token');
      const attempt = guarded(request, 'accept');
      const outcome = await inFlight.serve(request, clock.now(), (once) =>
        attempt((guess) => pairing.accept(joinid, client2, push, once, guess)),
      );
      switch (outcome.kind) {
        case 'accepted':
          return reply.send({ roomid: outcome.roomId, secret: outcome.secret });
        case 'own_code':
          return sendError(reply, 'invalid_client2', {
            field: 'client2',
            details: 'a device cannot accept its own code',
          });
        // A conflict is not counted as a guess: a taken code is of no use, and two devices may race for one code.
        default:
          return sendError(reply, outcome.kind);
      }
    },
  );

  app.post<{ Body: CheckRequest }>(
    '/api/rooms/check',
    {
      config: { direct: true },
      schema: {
        tags,
        operationId: 'checkPending',
        summary: 'Ask whether the code has been accepted',
        description:
          'An accepted pending is deleted when its room id is returned. `Prefer: wait=N` (RFC 7240, up to 30 s) holds the response until the code is accepted or expires.',
        headers: Type.Object({ prefer: Type.Optional(Type.String({ examples: ['wait=30'] })) }),
        body: requests.check,
        response: { 200: wire.RoomIdResponse, 204: noContent, ...errors },
      },
    },
    async (request, reply) => {
      const { joinid, client1 } = request.body;
      const proof = given(request.body.secret);
      // Before the lookup of the code: an app takes 404 for an expired code, and this error must not depend on the code.
      if (config.requireDeviceSecrets && proof === undefined) return sendSecretRequired(reply);
      const wait = preferredWaitSeconds(request.headers.prefer?.toString());
      if (wait !== undefined) reply.header('preference-applied', `wait=${wait}`);
      const gone = wait ? goneSignal(reply) : NEVER_GONE;
      const attempt = guarded(request, 'check');
      const outcome = await inFlight.serve(request, clock.now(), (once) =>
        pairing.check(joinid, client1, wait ?? 0, gone, attempt, once, proof),
      );
      switch (outcome.kind) {
        case 'collected':
          return reply.send({ roomid: outcome.roomId });
        case 'waiting':
          return reply.code(204).send();
        default:
          return sendError(reply, outcome.kind);
      }
    },
  );

  app.post<{ Body: CancelRequest }>(
    '/api/rooms/cancel',
    {
      schema: {
        tags,
        operationId: 'cancelPending',
        summary: 'Delete a pending that no device has accepted; idempotent',
        description:
          'The answer is the same for an unknown code, an accepted code, and the code of another device.',
        body: requests.cancel,
        response: { 200: wire.CancelResponse, ...errors },
      },
    },
    async (request, reply) => {
      const { joinid, client1 } = request.body;
      const proof = given(request.body.secret);
      if (config.requireDeviceSecrets && proof === undefined) return sendSecretRequired(reply);
      await inFlight.serve(request, clock.now(), (once) =>
        store.cancel(joinid, client1, clock.now(), once, proof),
      );
      // Not counted as a guess: the answer reveals nothing about the code.
      return reply.send({ ok: true });
    },
  );
}

const NEVER_GONE = new AbortController().signal;

/** Aborts when the client disconnects before it gets an answer. */
function goneSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  // The socket may be closed already; its `close` event does not fire again.
  if (reply.raw.destroyed) gone.abort();
  else reply.raw.once('close', () => gone.abort());
  return gone.signal;
}

const WAIT = /(?:^|,)\s*wait\s*=\s*"?(\d+)"?\s*(?=$|[,;])/i;

/** Seconds of `Prefer: wait=N` (RFC 7240 §4.3), at most {@link MAX_WAIT_SECONDS}; undefined without it. */
export function preferredWaitSeconds(header: string | undefined): number | undefined {
  const seconds = header === undefined ? undefined : WAIT.exec(header)?.[1];
  return seconds === undefined ? undefined : Math.min(Number(seconds), MAX_WAIT_SECONDS);
}
