// Mounts Couplet in an application with accounts, which authorizes devices by JWT.
import { buildApp, parseConfig } from '@couplet/server';
import { jwtVerify } from 'jose';

/** Required issuer and audience, so that tokens for another service are refused. */
const EXPECTED = { issuer: 'urn:example:accounts', audience: 'couplet', algorithms: ['HS256'] };

/**
 * Builds the server. A token's subject is the id of a device.
 *
 * @param {Uint8Array} secret the key that the accounts service signs with
 * @param {Record<string, string | undefined>} env settings of Couplet
 */
export function buildServer(secret, env = process.env) {
  /** Resolves to the device id of a request. Rejects if there is no valid token. */
  async function deviceOf(headers) {
    const token = headers.authorization?.replace(/^Bearer /, '') ?? '';
    const { payload } = await jwtVerify(token, secret, EXPECTED);
    return payload.sub;
  }

  /** The device of each opening handshake. Its WebSocket outlives the token: the client joins again for an ICE restart. */
  const devices = new WeakMap();

  return buildApp(parseConfig({ USE_SQLITE: '1', REQUIRE_PAIRED_ROOMS: '1', ...env }), {
    authorize: {
      // A rejection counts as a refusal.
      request: async ({ headers }) => Boolean(await deviceOf(headers)),
      connect: async (request) => {
        const device = await deviceOf(request.headers);
        devices.set(request, device);
        return Boolean(device);
      },
      join: ({ request, deviceId }) => deviceId !== null && deviceId === devices.get(request),
    },
  });
}
