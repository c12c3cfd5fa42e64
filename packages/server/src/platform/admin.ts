// Who may see what is for the operator: anyone outside production, the holder of the admin token in it.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { preHandlerAsyncHookHandler } from 'fastify';
import type { Config } from './config.js';
import { sendError } from './http-errors.js';

const digest = (text: string) => createHash('sha256').update(text).digest();

/** A hook that answers 401 to all but the admin where the configuration asks for one. */
export function adminGuard(
  config: Pick<Config, 'production' | 'adminToken'>,
): preHandlerAsyncHookHandler {
  if (!config.production && config.adminToken === '') return async () => {};
  const expected = digest(`Bearer ${config.adminToken}`);
  return async (request, reply) => {
    // Digests have one length: the comparison tells nothing of the token, not even how long it is.
    const given = digest(request.headers.authorization ?? '');
    if (config.adminToken === '' || !timingSafeEqual(given, expected)) {
      return sendError(reply, 'unauthorized');
    }
    return undefined;
  };
}
