// Tests CPace with the vectors of draft-irtf-cfrg-cpace-21, and a verified pairing, in Chromium and Firefox.
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
import { CPACE, LOW_ORDER } from '../support/cpace-vectors.js';

describeWith(['chromium', 'firefox-esr'], 'CPace and verified pairings', () => {
  const openers = deviceOpeners();

  test.each(['chromium', 'firefox'] as const)('%s', async (engine) => {
    const device = await openers[engine]();
    // As text, because the transformed test file has no dynamic import that runs in a page.
    await device.page.evaluate(
      "import('/client/verify/cpace.js').then((cpace) => void Object.assign(window, { cpace }))",
    );
    const computed = await inPage(device, run, { ...CPACE, lowOrder: LOW_ORDER });
    const { a, b, secret, sessionKey } = CPACE;
    const refused = LOW_ORDER.map(() => 'refused');
    expect(computed).toEqual([CPACE.generator, a, b, secret, secret, sessionKey, ...refused]);
  });

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

/** Runs in the page, so it uses no outer variables. */
async function run(page: unknown, input: typeof CPACE & { lowOrder: string[] }) {
  const { cpace } = page as { cpace: typeof import('../../src/verify/cpace.js') };
  const { generator, multiply, sessionKey, utf8 } = cpace;
  const hex = (bytes: Uint8Array) =>
    Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  const unhex = (text: string) =>
    Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
  const privateKey = (scalar: string) =>
    crypto.subtle.importKey(
      'pkcs8',
      unhex(`302e020100300506032b656e04220420${scalar}`),
      'X25519',
      true,
      ['deriveBits'],
    );
  const agreed = {
    password: 'Password',
    channel: unhex(input.channel),
    session: unhex(input.session),
  };
  const point = await generator(agreed);
  const [ya, yb] = [await privateKey(input.ya), await privateKey(input.yb)];
  const [a, b] = [await multiply(ya, point), await multiply(yb, point)];
  const secret = await multiply(ya, b);
  const key = await sessionKey(
    agreed,
    secret,
    { key: a, associated: utf8('ADa') },
    { key: b, associated: utf8('ADb') },
  );
  const same = await multiply(yb, a);
  const refused = input.lowOrder.map((share) =>
    multiply(ya, unhex(share)).then(hex, () => 'refused'),
  );
  return [...[point, a, b, secret, same, key].map(hex), ...(await Promise.all(refused))];
}
