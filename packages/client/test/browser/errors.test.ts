// Tests the errors that a browser could hide: a refused opening handshake, and a header of another origin.
import type { IncomingMessage } from 'node:http';
import { describeWith } from '@couplet/testkit/components';
import { serverForTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import type { CoupletError } from '../../src/index.js';
import { deviceOpener, expectTalk, inPage, invite, pair } from '../support/client-page.js';

describeWith(['chromium'], 'errors in a browser', () => {
  const open = deviceOpener();

  test('unauthorized: a refused token, also if only the opening handshake is refused; a valid one connects', async () => {
    const rule = ({ headers }: Pick<IncomingMessage, 'headers'>) =>
      headers.authorization === 'Bearer a/valid+token==';
    const { url } = await serverForTest({}, { authorize: { request: rule, connect: rule } });
    const [host, guest] = [await open(), await open()];
    await pair({ url, token: 'a/valid+token==' }, host, guest);
    await expectTalk(host, guest);
    const codes = await inPage(
      guest,
      (page, url) => {
        const refused = new page.Couplet({ url, token: 'other' });
        const calls = [refused.accept('042137'), refused.resume(page.session.save())];
        return Promise.all(calls.map((call) => call.catch(({ code }: CoupletError) => code)));
      },
      url,
    );
    expect(codes).toEqual(['unauthorized', 'unauthorized']);
  });

  test('rate_limited, at once, with the time to wait: more codes than the server allows', async () => {
    const { url } = await serverForTest({ MAX_CREATES_PER_HOUR: '1' });
    const device = await open();
    await invite({ url }, device);
    const refused = await inPage(
      device,
      (page, url) =>
        new page.Couplet({ url }).invite().catch(({ code, retryAfterSeconds }: CoupletError) => {
          page.invite.cancel();
          return { code, retryAfterSeconds };
        }),
      url,
    );
    expect(refused).toMatchObject({ code: 'rate_limited' });
    expect((refused as CoupletError).retryAfterSeconds).toBeGreaterThan(60);
  });
});
