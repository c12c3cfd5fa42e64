// Tests CPace with the vectors of draft-irtf-cfrg-cpace-21 in Chromium and Firefox, and that the module is loaded on demand.
import { describeWith } from '@couplet/testkit/components';
import { serverForTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { deviceOpeners, inPage } from '../support/client-page.js';
import { CPACE, computeVectors, LOW_ORDER, VECTORS } from '../support/cpace-vectors.js';

describeWith(['chromium', 'firefox-esr'], 'CPace', () => {
  const openers = deviceOpeners();

  test.each(['chromium', 'firefox'] as const)('%s', async (engine) => {
    const device = await openers[engine]();
    // As text, because the transformed test file has no dynamic import that runs in a page.
    await device.page.evaluate(
      "import('/client/verify/cpace.js').then((cpace) => void Object.assign(window, { cpace }))",
    );
    const input = { ...CPACE, lowOrder: LOW_ORDER };
    expect(await inPage(device, computeVectors as never, input)).toEqual(VECTORS);
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
