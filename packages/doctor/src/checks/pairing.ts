// Checks that two devices can pair by a join code: create, a held check, accept.
import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type Check, failed, passed } from '../check.js';
import { type Answer, call, errorCode, refusal } from '../http-call.js';
import type { Site } from '../site.js';

/** Lifetime of the code. Short, in case the clean-up fails. */
const EXPIRES_IN_SECONDS = 60;
const WAIT_SECONDS = 3;
/** Delay before the accept, so that the server already holds the check. */
const HEAD_START_MS = 150;
/** Number of random codes to try, because a code may be in use. */
const DRAWS = 5;

export const pairingCheck: Check<Site, { roomId: string }> = {
  id: 'pairing',
  title: 'Pairing',
  async run(site, signal) {
    const [client1, client2] = site.devices;
    const post = (path: string, body: object, headers = {}) =>
      call(site, signal, 'POST', path, { body, headers });

    let joinid = '';
    let created: Answer | undefined;
    for (let draw = 0; draw < DRAWS && (!created || errorCode(created) === 'conflict'); draw++) {
      joinid = String(randomInt(1_000_000)).padStart(6, '0');
      const expiresInSeconds = EXPIRES_IN_SECONDS;
      created = await post('/api/rooms', { joinid, expiresInSeconds, client1 });
    }
    if (created?.status !== 201) return refusal('POST /api/rooms', created as Answer);
    const secret = secretIn(created);
    site.secrets[0] = secret;

    const prefer = { prefer: `wait=${WAIT_SECONDS}` };
    const held = post('/api/rooms/check', { joinid, client1, secret }, prefer);
    // Awaited below, but not if the accept fails first.
    held.catch(() => {});
    await delay(HEAD_START_MS);
    const accepted = await post('/api/rooms/accept', { joinid, client2 });
    if (accepted.status !== 200) return refusal('POST /api/rooms/accept', accepted);
    const roomId = accepted.json?.roomid;
    site.secrets[1] = secretIn(accepted);
    const checked = await held;
    if (checked.status === 204)
      return failed(
        'a check with Prefer: wait was answered at once, not when the code was accepted',
        'A proxy removes the header Prefer, or MAX_WAITING_CHECKS is reached. Apps then have to poll.',
      );
    if (checked.status !== 200) return refusal('POST /api/rooms/check', checked);
    if (typeof roomId !== 'string' || roomId === '' || roomId !== checked.json?.roomid)
      return failed(
        'the two devices got different rooms',
        'A proxy answers from a cache. It must not cache answers of /api.',
      );
    return passed('created, accepted, and reported to the waiting device', { roomId });
  },
};

/** Returns undefined for servers of older versions, which have no secrets. */
function secretIn({ json }: Answer): string | undefined {
  return typeof json?.secret === 'string' ? json.secret : undefined;
}
