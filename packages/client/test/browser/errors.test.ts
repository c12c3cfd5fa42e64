// Tests the error codes for failed pairings in a browser.
import type { IncomingMessage } from 'node:http';
import { call, someCode } from '@couplet/testkit/api';
import type { Device } from '@couplet/testkit/browser';
import { describeWith } from '@couplet/testkit/components';
import { serverForTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import type { CoupletError, CoupletOptions } from '../../src/index.js';
import { deviceOpener, expectTalk, inPage, invite, pair, resume } from '../support/client-page.js';

/** Longest wait for the answer to a button on a busy machine. */
const ANSWERED_WITHIN_MS = 5_000;

describeWith(['chromium'], 'errors in a browser', () => {
  const open = deviceOpener();
  const start = async (env: Record<string, string> = {}) => (await serverForTest(env)).url;

  test('not_found_or_expired: an expired code, at both ends, and an unknown code', async () => {
    const url = await start();
    const [host, guest] = [await open(), await open()];
    const code = await inPage(
      host,
      async (page, url) => {
        page.invite = await new page.Couplet({ url }).invite({ expiresInSeconds: 1 });
        return page.invite.code;
      },
      url,
    );
    // The server holds the check until the code has expired.
    const ended = host.page.evaluate(`invite.accepted.catch(({ code }) => code)`);
    expect(await ended).toBe('not_found_or_expired');
    for (const wrong of [code, '000000']) {
      expect(await refusal(guest, { url }, wrong)).toMatchObject({ code: 'not_found_or_expired' });
    }
  });

  test('conflict: a code that another device has accepted', async () => {
    const url = await start();
    const guest = await open();
    // The creator has not checked the code yet. After its check, the code no longer exists.
    const pending = { joinid: someCode(), expiresInSeconds: 300, client1: 'the host' };
    await call(url, 'POST', '/api/rooms', pending);
    await call(url, 'POST', '/api/rooms/accept', { ...pending, client2: 'the first guest' });
    expect(await refusal(guest, { url }, pending.joinid)).toMatchObject({ code: 'conflict' });
  });

  test('invalid_client2: a code of the same device; invalid_joinid: text that is not a code', async () => {
    const options = { url: await start(), deviceId: 'one and the same' };
    const device = await open();
    const code = await invite(options, device);
    expect(await refusal(device, options, code)).toMatchObject({ code: 'invalid_client2' });
    expect(await refusal(device, options, '12345')).toMatchObject({ code: 'invalid_joinid' });
    await inPage(device, ({ invite }) => invite.cancel());
  });

  test('forbidden: a third device in the room of a pairing, without effect on the two devices', async () => {
    const url = await start();
    const [host, guest, third] = [await open(), await open(), await open()];
    await pair(url, host, guest);
    const { roomId } = await inPage(host, ({ session }) => session.save());
    expect(await refusedRoom(third, url, roomId)).toBe('forbidden');
    await expectTalk(host, guest);
  });

  test('unauthorized: a refused token, also if only the opening handshake tells; a valid one connects', async () => {
    const rule = ({ headers }: Pick<IncomingMessage, 'headers'>) =>
      headers.authorization === 'Bearer a/valid+token==';
    const { url } = await serverForTest({}, { authorize: { request: rule, connect: rule } });
    const [host, guest] = [await open(), await open()];
    await pair({ url, token: 'a/valid+token==' }, host, guest);
    await expectTalk(host, guest);
    const refused = { url, token: 'other' };
    expect(await refusal(guest, refused, '042137')).toMatchObject({ code: 'unauthorized' });
    const resumed = inPage(
      guest,
      (page, refused) =>
        new page.Couplet(refused).resume(page.session.save()).then(
          () => undefined,
          ({ code }: CoupletError) => code,
        ),
      refused,
    );
    expect(await resumed).toBe('unauthorized');
  });

  test('room_full: a third device in a room without a pairing', async () => {
    const url = await start();
    const [host, guest, third] = [await open(), await open(), await open()];
    const saved = (deviceId: string) => ({ version: 1 as const, roomId: 'by agreement', deviceId });
    await Promise.all([resume(url, host, saved('a')), resume(url, guest, saved('b'))]);
    expect(await refusedRoom(third, url, 'by agreement')).toBe('room_full');
    await expectTalk(host, guest);
  });

  test('rate_limited, at once, with the time to wait: more codes than the server allows', async () => {
    const url = await start({ MAX_CREATES_PER_HOUR: '1' });
    const device = await open();
    await invite({ url }, device);
    const refused = await inPage(
      device,
      async (page, url) => {
        const start = performance.now();
        const fields = ({ code, retryAfterSeconds }: CoupletError) => ({ code, retryAfterSeconds });
        const error = await new page.Couplet({ url }).invite().then(() => undefined, fields);
        page.invite.cancel();
        return { ...error, tookMs: performance.now() - start };
      },
      url,
    );
    expect(refused).toMatchObject({ code: 'rate_limited' });
    expect(refused.retryAfterSeconds).toBeGreaterThan(60);
    expect(refused.tookMs).toBeLessThan(ANSWERED_WITHIN_MS);
  });
});

/** Resolves to the refusal of a device that has only the room id. */
const refusedRoom = (device: Device, url: string, roomId: string) =>
  inPage(
    device,
    (page, { url, roomId }) =>
      new page.Couplet({ url }).resume({ version: 1, roomId, deviceId: 'a third' }).then(
        () => 'a session',
        ({ code }: CoupletError) => code,
      ),
    { url, roomId },
  );

/** Resolves to the error of the guest's accept. */
const refusal = (device: Device, options: CoupletOptions, code: string) =>
  inPage(
    device,
    (page, { options, code }) =>
      new page.Couplet(options).accept(code).then(
        () => undefined,
        ({ name, code }: CoupletError) => ({ name, code }),
      ),
    { options, code },
  );
