// Couplet inside an application with accounts: a JWT says which device somebody is, and the application decides.
import { buildApp, parseConfig } from '@couplet/server';
import { jwtVerify } from 'jose';

/** Who issues the tokens, and for whom; a token for another service is none for this one. */
const EXPECTED = { issuer: 'urn:example:accounts', audience: 'couplet', algorithms: ['HS256'] };

/**
 * Builds the server. A token's subject is the id of a device.
 *
 * @param {Uint8Array} secret the key that the accounts service signs with
 * @param {Record<string, string | undefined>} env settings of Couplet
 */
export function buildServer(secret, env = process.env) {
  /** The device that a request speaks for; rejects where it shows no valid token. */
  async function deviceOf(headers, url) {
    // A browser cannot set headers on a WebSocket: there the token comes in the query.
    const query = new URL(url ?? '/', 'http://localhost').searchParams.get('token');
    const token = headers.authorization?.replace(/^Bearer /, '') ?? query ?? '';
    const { payload } = await jwtVerify(token, secret, EXPECTED);
    return payload.sub;
  }

  return buildApp(parseConfig({ USE_SQLITE: '1', REQUIRE_PAIRED_ROOMS: '1', ...env }), {
    authorize: {
      // What rejects counts as no: nobody enters on a failure.
      request: async ({ headers }) => Boolean(await deviceOf(headers)),
      connect: async ({ headers, url }) => Boolean(await deviceOf(headers, url)),
      join: async ({ request, deviceId }) =>
        deviceId !== null && deviceId === (await deviceOf(request.headers, request.url)),
    },
  });
}
