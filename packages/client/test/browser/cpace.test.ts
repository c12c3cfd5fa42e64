// Tests CPace with the vectors of draft-irtf-cfrg-cpace-21 in Chromium and Firefox.
import { describeWith } from '@couplet/testkit/components';
import { expect, test } from 'vitest';
import { deviceOpener, firefoxOpener, inPage } from '../support/client-page.js';
import { CPACE, LOW_ORDER } from '../support/cpace-vectors.js';

describeWith(['chromium', 'firefox-esr'], 'the vectors of the draft', () => {
  const openers = { chromium: deviceOpener(), firefox: firefoxOpener() };

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
