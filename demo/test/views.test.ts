// Tests every view of the demo page with axe, and for overflow: light and dark, phone and desktop.
import { describeWith } from '@couplet/testkit/components';
import { expect, test } from 'vitest';
import {
  accessibilityFaults,
  compare,
  enterCode,
  expectTrust,
  inSession,
  makeInvite,
  makePlainInvite,
  meet,
  startSite,
  useBrowser,
  type Visitor,
  visit,
  write,
} from './support/visitor.js';

const PHONE = { width: 320, height: 640 };
const DESKTOP = { width: 1440, height: 900 };

describeWith(['chromium'], 'the views of the demo page', () => {
  useBrowser();

  test.each([
    ['dark', PHONE],
    ['light', DESKTOP],
  ] as const)('are accessible and fit: %s, %o', async (colorScheme, viewport) => {
    const { url } = await startSite();
    const options = {
      ...{ colorScheme, viewport, reducedMotion: 'reduce' as const },
      permissions: ['camera', 'microphone'],
    };
    const host = await visit(url, options);
    await expectFine(host, 'start');
    await host.button('Join').click();
    await expectFine(host, 'start with a wrong input');
    const verified = await makeInvite(host);
    await expectFine(host, 'invite');
    const typist = await visit(url, options);
    await enterCode(typist, verified.code.slice(0, -1) + ((Number(verified.code.at(-1)) + 1) % 10));
    await typist.page.locator('#join-error').getByText('One of the digits is wrong.').waitFor();
    await expectFine(typist, 'mistyped code');
    await enterCode(typist, verified.code);
    await inSession(host, typist);
    await expectTrust('Verified', host, typist);
    await host.page.locator('#trust-word').click();
    await expectFine(host, 'verified session');
    await host.button('Leave').click();
    await typist.page.close();

    const { code } = await makePlainInvite(host);
    await expectFine(host, 'invite without verification');
    const guest = await visit(url, options);
    await enterCode(guest, code);
    await inSession(host, guest);
    await host.page.locator('#trust-word').click();
    await guest.page.getByLabel('Message', { exact: true }).fill('A long word: '.padEnd(300, 'o'));
    await guest.button('Send').click();
    await host.page.locator('.message.theirs').waitFor();
    await expectFine(host, 'chat');
    await guest.page.setInputFiles('#file-input', {
      ...{ name: `${'long name '.repeat(20)}.txt`, mimeType: 'text/plain' },
      buffer: Buffer.from('small'),
    });
    // The text covers the tabs on a phone.
    await host.page.locator('#trust-word').click();
    await host.tab('Files').click();
    await host.page.getByText('Received intact.', { exact: true }).waitFor();
    await expectFine(host, 'files');
    await host.tab('Call').click();
    await host.button('Start with camera').click();
    await host.button('Hang up').waitFor();
    await expectFine(host, 'outgoing call');
    await guest.page.getByText('is calling, with camera.').waitFor();
    await expectFine(guest, 'incoming call');
    await guest.button('Answer with camera').click();
    await host.button('Share screen').waitFor();
    await expectFine(host, 'call');
    await host.button('Hang up').click();
    await host.tab('Connection').click();
    await expect.poll(() => host.page.locator('tr.used').count()).toBe(2);
    await expectFine(host, 'connection');
    // The last column shows the pair in use. Only on the narrowest phones it needs scrolling.
    await host.page.setViewportSize({ ...viewport, width: 360 });
    const hidden = await host.page
      .locator('.scroll')
      .evaluate((table) => table.scrollWidth - table.clientWidth);
    expect(hidden, 'overflow of the candidate table').toBe(0);
    await host.page.setViewportSize(viewport);
    await compare(host, guest);
    await expectFine(host, 'safety number');
    await host.button('They match').click();
    await expectFine(host, 'compared safety number');
    await guest.page.reload();
    await host.heading('Stop').waitFor();
    await expectFine(host, 'alarm');
    await guest.page.close();

    const tester = await visit(url, options);
    await tester.page.getByRole('link', { name: 'Connection test' }).click();
    await expectFine(tester, 'connection test');
    await tester.button('Start the test').click();
    await tester.page.getByText('Done.').waitFor();
    await expectFine(tester, 'report of the connection test');
    expect([host.complaints, guest.complaints, tester.complaints]).toEqual([[], [], []]);
  });

  test.each([
    ['6', false],
    ['6', true],
    ['8', true],
    ['12', true],
  ])(
    'a code fills one line of its card at every width: %s digits, verified: %s',
    async (digits, isVerified) => {
      const { url } = await startSite({ JOIN_CODE_DIGITS: digits });
      const host = await visit(url);
      await host.button('Create an invite').click();
      await host.heading('Enter this code').waitFor();
      if (!isVerified) {
        await host.button('Create a code without verification').click();
        await host.button('Create a verified code').waitFor();
      }
      for (const width of [320, 390, 703, 704, 768, 1024, 1920]) {
        await host.page.setViewportSize({ width, height: 800 });
        const [lines, part] = await host.page.locator('#invite-code').evaluate((code) => {
          const { width: available } = (code.parentElement as HTMLElement).getBoundingClientRect();
          return [code.getClientRects().length, code.getBoundingClientRect().width / available];
        });
        expect(lines, `at ${width} px`).toBe(1);
        expect(part, `at ${width} px`).toBeLessThan(1);
        // On a wide card, a short code has its largest size.
        if (width <= 768) expect(part, `at ${width} px`).toBeGreaterThan(0.9);
      }
    },
  );

  test('on a phone, the header has one row, and the code and the message field stay in view', async () => {
    const { url } = await startSite();
    const options = { viewport: { width: 390, height: 664 } };
    const [host, guest] = [await visit(url, options), await visit(url, options)];
    const { code } = await makeInvite(host);
    await host.button('Cancel').scrollIntoViewIfNeeded();
    expect(await isInView(host, '.big-code')).toBe(true);
    await enterCode(guest, code);
    await inSession(host, guest);
    for (let n = 1; n <= 20; n++) await write(guest, `Message ${n}`);
    await host.page.getByText('Message 20').waitFor();
    for (const visible of ['.top', '#session-title', '#tabs', '#chat-form']) {
      expect(await isInView(host, visible), visible).toBe(true);
    }
    expect((await host.page.locator('.top').boundingBox())?.height).toBeLessThan(72);
  });

  test('on a wide window, the chat is beside the other tabs', async () => {
    const { url } = await startSite();
    const [host, guest] = await meet(url, { viewport: DESKTOP });
    await host.tab('Connection').click();
    await write(guest, 'Beside');
    await host.page.getByText('Beside').waitFor();
    await host.page.setViewportSize({ width: 1024, height: 800 });
    await host.page.getByText('Beside').waitFor({ state: 'hidden' });
    await host.tab('Chat').click();
    await host.page.getByText('Beside').waitFor();
  });
});

/** Whether the element is completely in the window. */
const isInView = ({ page }: Visitor, selector: string) =>
  page.locator(selector).evaluate((element) => {
    const { top, bottom } = element.getBoundingClientRect();
    return top >= 0 && bottom <= innerHeight;
  });

async function expectFine(visitor: Visitor, view: string): Promise<void> {
  expect(await accessibilityFaults(visitor), view).toEqual([]);
  const sticksOut = await visitor.page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  expect(sticksOut, `${view} is wider than the window`).toBe(0);
  // The pages of this test ask for reduced motion.
  const moving = await visitor.page.evaluate(() => document.getAnimations().length);
  expect(moving, `animations of ${view}`).toBe(0);
}
