// Implements CORS: which pages may call the API, with which methods and headers.
import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';
import { type OriginRule, type OriginSettings, originRule } from '../settings/origins.js';

/** CORS headers for answers that Fastify does not write. */
export function corsHeaders(
  allows: OriginRule | null,
  origin: string | undefined,
): Record<string, string> {
  if (origin === undefined) return {};
  if (allows !== null && !allows(origin)) return { vary: 'Origin' };
  return {
    'access-control-allow-origin': allows === null ? '*' : origin,
    'access-control-expose-headers': EXPOSED_HEADERS.join(', '),
    ...(allows === null ? {} : { vary: 'Origin' }),
  };
}

const EXPOSED_HEADERS = ['Preference-Applied', 'Retry-After', 'X-Request-Id'];

export async function allowOrigins(app: FastifyInstance, config: OriginSettings): Promise<void> {
  const allows = originRule(config);
  await app.register(cors, {
    origin:
      allows === null
        ? '*'
        : // The plugin returns the origin if it is allowed. An empty list allows no origin, but still answers OPTIONS with 204.
          (origin, answer) => answer(null, origin !== undefined && allows(origin) ? true : []),
    methods: ['GET', 'POST', 'DELETE', 'OPTIONS'],
    allowedHeaders: [
      'Content-Type',
      'Accept',
      'Authorization',
      'X-Requested-With',
      'Idempotency-Key',
      'Prefer',
      'Couplet-Secret',
    ],
    exposedHeaders: EXPOSED_HEADERS,
    maxAge: 86_400,
    // Every OPTIONS is answered 204, even if it is not a complete preflight.
    strictPreflight: false,
  });
}
