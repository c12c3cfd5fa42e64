// Do two devices find each other by a join code: create, a held check, accept?
import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type Check, failed, passed } from '../check.js';
import { type Answer, call, errorCode, refusal } from '../http-call.js';
import type { Site } from '../site.js';

/** Life of the code: what is left over, should the clean-up fail, is gone in a minute. */
const EXPIRES_IN_SECONDS = 60;
const WAIT_SECONDS = 3;
/** For the check to arrive, so that the accept comes while it is held. */
const HEAD_START_MS = 150;
/** Somebody else may hold the code that was drawn. */
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
    // Awaited below; if the accept fails first, nobody does.
    held.catch(() => {});
    await delay(HEAD_START_MS);
    const accepted = await post('/api/rooms/accept', { joinid, client2 });
    if (accepted.status !== 200) return refusal('POST /api/rooms/accept', accepted);
    const roomId = accepted.json?.roomid;
    site.secrets[1] = secretIn(accepted);
    const checked = await held;
    if (checked.status === 204)
      return failed(
        'a check with Prefer: wait was answered at once instead of when the code was accepted',
        'A proxy drops the header Prefer, or MAX_WAITING_CHECKS is used up. Apps fall back to asking again and again.',
      );
    if (checked.status !== 200) return refusal('POST /api/rooms/check', checked);
    if (typeof roomId !== 'string' || roomId === '' || roomId !== checked.json?.roomid)
      return failed(
        'the two devices were told different rooms',
        'Something in front of the server answers from a cache: it must not keep answers of /api.',
      );
    return passed('created, accepted, and told to the device that waited', { roomId });
  },
};

/** Servers of older versions give none. */
function secretIn({ json }: Answer): string | undefined {
  return typeof json?.secret === 'string' ? json.secret : undefined;
}
