// Implements POST /api/user/purge (docs/protocol.md §3): deletes every room and pending of one or more devices.
import {
  MAX_JSON_VALUES,
  MAX_PURGE_BODY_BYTES,
  MAX_PURGE_IDS,
  MAX_PURGE_SECRETS,
  type PurgeRequest,
} from '@couplet/protocol';
import * as wire from '@couplet/protocol/schema';
import { Compile } from '@couplet/protocol/typebox';
import type { FastifyInstance } from 'fastify';
import { RequestFault, sendSecretRequired } from '../http/errors.js';
import { budgetOf } from '../http/paced-requests.js';
import { errors, isMissing } from '../http/validation.js';
import { COST } from '../limits/address-budget.js';
import type { PairingServices } from './pairing.js';

/** Twice the allowed ids and secrets, so that a list that is too long gets its own error code, plus any other fields. */
const MAX_PURGE_VALUES = 2 * (MAX_PURGE_IDS + MAX_PURGE_SECRETS) + MAX_JSON_VALUES;

export function purgeRoute(
  app: FastifyInstance,
  { config, clock, store, inFlight }: PairingServices,
): void {
  app.post<{ Body: PurgeRequest | undefined }>(
    '/api/user/purge',
    {
      bodyLimit: MAX_PURGE_BODY_BYTES,
      config: { maxJsonValues: MAX_PURGE_VALUES },
      schema: {
        tags: ['pairing'],
        operationId: 'purgeDevices',
        summary: 'Delete every room and pending of one or more devices',
        body: wire.PurgeRequest,
        response: { 200: wire.PurgeResponse, ...errors },
      },
      // A purge has error codes of its own, which no schema can name.
      validatorCompiler: () => (value: unknown) => ({ value }),
    },
    async (request, reply) => {
      const deviceIds = namedDevices(request.body);
      const secrets = secretsOf(request.body);
      budgetOf(request.raw)?.charge((deviceIds.length + secrets.length) * COST.purgedId);
      const isRequired = config.requireDeviceSecrets;
      if (isRequired && secrets.length === 0) return sendSecretRequired(reply);
      const proofs = { secrets, isRequired };
      const now = clock.now();
      const outcome = await inFlight.serve(request, now, (once) =>
        store.purge(deviceIds, now, once, proofs),
      );
      const { roomsDeleted, pendingsDeleted, roomsKept, pendingsKept } = outcome;
      return reply.send({
        success: true,
        deviceIdCount: deviceIds.length,
        roomsDeleted,
        pendingsDeleted,
        // Omitted if zero, so that clients without secrets get the response that they always got.
        ...(roomsKept > 0 ? { roomsKept } : {}),
        ...(pendingsKept > 0 ? { pendingsKept } : {}),
      });
    },
  );
}

const deviceId = Compile(wire.DeviceId);
const deviceSecret = Compile(wire.DeviceSecret);

function secretsOf(body: unknown): readonly string[] {
  const { secrets } = body as { secrets?: unknown };
  if (isMissing(secrets)) return [];
  return checked('invalid_secrets', 'secrets', secrets, MAX_PURGE_SECRETS, deviceSecret);
}

/** The devices that a purge names: the array if there is one, otherwise the single id that older clients send. */
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
  if (Array.isArray(named) && named.length === 0) throw new RequestFault('empty_deviceIds_array');
  return checked('invalid_device_ids', 'deviceIds', named, MAX_PURGE_IDS, deviceId);
}

/** Returns a list whose entries all match. Otherwise, `count` is the number of wrong ones. */
function checked(
  code: 'invalid_secrets' | 'invalid_device_ids',
  name: string,
  list: unknown,
  most: number,
  entry: typeof deviceId,
): readonly string[] {
  if (!Array.isArray(list)) {
    throw new RequestFault(code, { count: 1, details: `${name} must be an array` });
  }
  if (list.length > most) {
    throw new RequestFault(code, { count: list.length, details: `at most ${most} ${name}` });
  }
  const count = list.filter((each) => !entry.Check(each)).length;
  if (count > 0) throw new RequestFault(code, { count });
  return list;
}
