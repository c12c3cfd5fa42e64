// Tests a verified pairing between Chromium and Firefox, and that /client.js loads what it needs for one.
import { describeWith } from '@couplet/testkit/components';
import { serverForTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import type { SavedSession } from '../../src/index.js';
import {
  accept,
  accepted,
  deviceOpeners,
  expectTalk,
  inPage,
  resume,
} from '../support/client-page.js';

describeWith(['chromium', 'firefox-esr'], 'verified pairings', () => {
  const openers = deviceOpeners();

  test('a pairing by a link is verified, and again after both pages have resumed it', async () => {
    const { url } = await serverForTest();
    const [host, guest] = [await openers.chromium(), await openers.firefox()];
    const link = await inPage(
      host,
      async (page, url) => {
        page.invite = await new page.Couplet({ url }).invite({ verify: true });
        return page.invite.link?.('https://app.example/') ?? '';
      },
      url,
    );
    await Promise.all([accepted(host), accept({ url }, guest, link)]);
    await expectTalk(host, guest);
    const both = [host, guest];
    const trusts = () =>
      Promise.all(both.map((each) => inPage(each, ({ session }) => session.trust)));
    expect(await trusts()).toEqual(['code', 'code']);
    const saved = await Promise.all(
      both.map((each) => inPage(each, ({ session }) => session.save())),
    );
    await Promise.all(both.map((each) => inPage(each, ({ session }) => session.close())));
    await Promise.all(both.map((each, n) => resume(url, each, saved[n] as SavedSession)));
    await expectTalk(host, guest);
    expect(await trusts()).toEqual(['saved', 'saved']);
  });

  test('/client.js of another origin loads the rest when a pairing is first verified', async () => {
    const { url } = await serverForTest();
    const { page } = await openers.chromium();
    const code = await page.evaluate(`import('${url}/client.js').then(async ({ Couplet }) => {
      const invite = await new Couplet({ url: '${url}' }).invite({ verify: true });
      invite.cancel();
      return invite.code;
    })`);
    expect(code).toMatch(/^\d{12}$/);
    const loaded = 'performance.getEntriesByType("resource").map(({ name }) => name)';
    expect(await page.evaluate(loaded)).toContainEqual(
      expect.stringMatching(`^${url}/client-verify-\\w+\\.js$`),
    );
  });
});
