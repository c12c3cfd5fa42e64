// Implements CORS (Fetch standard): which pages may call the API, with which methods and headers.
import { type OriginSettings, originRule } from '../settings/origins.js';

const EXPOSED_HEADERS = 'Preference-Applied, Retry-After, X-Request-Id';

/** Headers of the answer to OPTIONS (`every-request.ts`), in addition to those of every answer. */
export const PREFLIGHT_HEADERS = {
  'access-control-allow-methods': 'GET, POST, DELETE, OPTIONS',
  'access-control-allow-headers':
    'Content-Type, Accept, Authorization, X-Requested-With, Idempotency-Key, Prefer, Couplet-Secret',
  'access-control-max-age': '86400',
  'content-length': '0',
};

/** Returns the headers of an answer to a page of this origin. */
export type CorsHeaders = (origin: string | undefined) => Readonly<Record<string, string>>;

export function corsHeaders(config: OriginSettings): CorsHeaders {
  const allows = originRule(config);
  const headers = (origin: string) => ({
    'access-control-allow-origin': origin,
    'access-control-expose-headers': EXPOSED_HEADERS,
  });
  if (allows === null) {
    const ofAll = headers('*');
    return () => ofAll;
  }
  return (origin) =>
    origin !== undefined && allows(origin)
      ? { vary: 'Origin', ...headers(origin) }
      : { vary: 'Origin' };
}
