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
import { assertNever } from '../base/assert-never.js';
import type { Clock } from '../base/clock.js';
import { addressKey } from '../http/client-address.js';
import { sendError, sendLimited, sendSecretRequired } from '../http/errors.js';
import { type InFlight, type KeyReused, repeatable } from '../http/idempotency.js';
import { given } from '../http/validation.js';
import type { Guesses } from './guesses.js';
import type { GuardedRead, Pairing } from './pairing.js';
import type { AcceptOutcome, CheckOutcome, CreateOutcome } from './store.js';

/** `Retry-After` for a device or an address with too many pendings, in seconds: one may have expired by then. */
const TOO_MANY_RETRY_SECONDS = 60;

const noContent = Type.Null({ description: 'Still waiting; no body.' });
const errors = { '4xx': wire.ErrorResponse, '5xx': wire.ErrorResponse };
const tags = ['pairing'];

export interface PendingRouteDeps {
  pairing: Pairing;
  guesses: Guesses;
  inFlight: InFlight;
  clock: Clock;
  joinCodeDigits: number;
  /** Whether a check and a cancel must include the secret of their device. */
  requireSecrets: boolean;
}

export function pendingRoutes(
  app: FastifyInstance,
  { pairing, guesses, inFlight, clock, joinCodeDigits, requireSecrets }: PendingRouteDeps,
): void {
  const requests = wire.pairingRequests(joinCodeDigits);

  app.post<{ Body: CreatePendingRequest }>(
    '/api/rooms',
    {
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
      const { joinid, client1, expiresInSeconds } = request.body;
      const proof = given(request.body.secret);
      const once = repeatable(request, clock.now());
      const attempt = attemptOf(request);
      const outcome = await inFlight.run<CreateOutcome | KeyReused>(
        once,
        () =>
          guesses.run('create', {
            ...attempt,
            run: (guess) =>
              pairing.create(
                joinid,
                client1,
                expiresInSeconds,
                attempt.address,
                once,
                proof,
                guess,
              ),
          }),
        (repeat) => pairing.recall(repeat),
      );
      switch (outcome.kind) {
        case 'created':
          return reply.code(201).send({
            ok: true,
            exp: new Date(outcome.expiresAt).toISOString(),
            secret: outcome.secret,
          });
        case 'conflict':
          return sendError(reply, 'conflict');
        case 'too_many':
          return sendLimited(reply, TOO_MANY_RETRY_SECONDS);
        case 'key_reused':
          return sendError(reply, 'idempotency_key_reused');
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
        summary: 'Accept a join code and create the room',
        description: 'If several clients accept the same code at once, exactly one succeeds.',
        body: requests.accept,
        response: { 200: wire.AcceptResponse, ...errors },
      },
    },
    async (request, reply) => {
      const { joinid, client2 } = request.body;
      const once = repeatable(request, clock.now());
      const attempt = attemptOf(request);
      const outcome = await inFlight.run<AcceptOutcome | KeyReused>(
        once,
        () =>
          guesses.run('accept', {
            ...attempt,
            run: (guess) => pairing.accept(joinid, client2, once, guess),
          }),
        (repeat) => pairing.recall(repeat),
      );
      switch (outcome.kind) {
        case 'accepted':
          return reply.send({ roomid: outcome.roomId, secret: outcome.secret });
        case 'own_code':
          return sendError(reply, 'invalid_client2', {
            field: 'client2',
            details: 'a device cannot accept its own code',
          });
        case 'conflict':
          // Not counted as a guess: a taken code is of no use, and two devices may race for one code.
          return sendError(reply, 'conflict');
        case 'not_found_or_expired':
          return sendError(reply, outcome.kind);
        case 'key_reused':
          return sendError(reply, 'idempotency_key_reused');
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
      if (requireSecrets && proof === undefined) return sendSecretRequired(reply);
      const wait = preferredWaitSeconds(request.headers.prefer?.toString());
      if (wait !== undefined) reply.header('preference-applied', `wait=${wait}`);
      const gone = wait ? goneSignal(reply) : NEVER_GONE;
      const once = repeatable(request, clock.now());
      const attempt = attemptOf(request);
      const outcome = await inFlight.run<CheckOutcome | KeyReused>(
        once,
        () => {
          const guarded: GuardedRead = (read) => guesses.run('check', { ...attempt, run: read });
          return pairing.check(joinid, client1, wait ?? 0, gone, guarded, once, proof);
        },
        (repeat) => pairing.recall(repeat),
      );
      switch (outcome.kind) {
        case 'collected':
          return reply.send({ roomid: outcome.roomId });
        case 'waiting':
          return reply.code(204).send();
        case 'not_found_or_expired':
          return sendError(reply, outcome.kind);
        case 'key_reused':
          return sendError(reply, 'idempotency_key_reused');
        default:
          return assertNever(outcome);
      }
    },
  );

  app.post<{ Body: CancelRequest }>(
    '/api/rooms/cancel',
    {
      schema: {
        tags,
        operationId: 'cancelPending',
        summary: 'Delete a pending that nobody has accepted; idempotent',
        description:
          'The answer is the same for an unknown code, an accepted code, and the code of another device.',
        body: requests.cancel,
        response: { 200: wire.CancelResponse, ...errors },
      },
    },
    async (request, reply) => {
      const { joinid, client1 } = request.body;
      const proof = given(request.body.secret);
      if (requireSecrets && proof === undefined) return sendSecretRequired(reply);
      const once = repeatable(request, clock.now());
      const outcome = await inFlight.run(once, () => pairing.cancel(joinid, client1, once, proof));
      // Not counted as a guess: the answer reveals nothing about the code.
      return outcome.kind === 'cancelled'
        ? reply.send({ ok: true })
        : sendError(reply, 'idempotency_key_reused');
    },
  );
}

/** The origin of an attempt. Read at once, because a closed socket has no address any more. */
const attemptOf = (request: FastifyRequest) => {
  const { socket } = request.raw;
  return { address: addressKey(request.ip), isGone: () => socket.destroyed };
};

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
