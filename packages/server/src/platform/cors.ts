// CORS: which pages may call the API, and with what.
import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';
import type { Config } from './config.js';

/** Origins of the configuration as a list; null where any may. */
export function originList(config: Pick<Config, 'allowedOrigins'>): readonly string[] | null {
  return config.allowedOrigins === '*' ? null : config.allowedOrigins.split(/\s*,\s*/);
}

export async function allowOrigins(app: FastifyInstance, config: Config): Promise<void> {
  const origins = originList(config);
  await app.register(cors, {
    origin: origins === null ? '*' : [...origins],
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
    exposedHeaders: ['Preference-Applied', 'Retry-After', 'X-Request-Id'],
    maxAge: 86_400,
    // Every OPTIONS is answered 204, also one that is no complete preflight.
    strictPreflight: false,
  });
}
