// Tests the device of a tab: kept across reloads, new in a duplicated tab, and usable without storage.
import { describeWith } from '@couplet/testkit/components';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import {
  enterCode,
  expectTrust,
  inSession,
  makeInvite,
  meet,
  startSite,
  useBrowser,
  type Visitor,
  visit,
  write,
} from './support/visitor.js';

/** A loopback name that is not a secure context, like a server in a local network. */
const LAN = 'couplet.lan';

describeWith(['chromium'], 'the device of a tab', () => {
  useBrowser(`--host-resolver-rules=MAP ${LAN} 127.0.0.1`);

  const sites = [
    ['with Web Locks', '127.0.0.1'],
    ['in an insecure context', LAN],
  ] as const;

  test.each(sites)(
    'a duplicated tab is a separate device, and both stay the same after a reload, %s',
    async (_, host) => {
      const url = (await startSite()).url.replace('127.0.0.1', host);
      const [first, second] = await meet(url);
      expect(await first.page.evaluate(() => isSecureContext)).toBe(host !== LAN);
      await expectTrust(host === LAN ? 'Not verified' : 'Verified', first, second);
      const copy = await duplicate(first);
      expect(await copy.evaluate(() => sessionStorage.length)).toBe(1);
      await copy.getByRole('heading', { name: 'Connect two devices' }).waitFor();
      expect(await deviceId(copy)).not.toBe(await deviceId(first.page));
      // The original session continues on both sides.
      await write(second, 'Still connected?');
      await first.page.getByText('Still connected?').waitFor();
      expect(await first.page.locator('.message.note').allTextContents()).toEqual(['Connected.']);
      // With two pairings in one browser, each tab resumes its own.
      const third = await visit(url);
      await copy.getByLabel('Second device').fill((await makeInvite(third)).code);
      await copy.getByRole('button', { name: 'Join' }).click();
      await inSession(third);
      const id = await deviceId(first.page);
      await Promise.all([first.page.reload(), copy.reload()]);
      await inSession(first);
      // Leave the page and return.
      await first.page.goto(`${url}/openapi.json`);
      await first.page.goBack();
      await inSession(first);
      expect(await deviceId(first.page)).toBe(id);
      await write(first, 'To the second');
      await second.page.getByText('To the second').waitFor();
      await copy.locator('#session-title').waitFor();
      await write(third, 'To the copy');
      await copy.getByText('To the copy').waitFor();
    },
  );

  test('a phone over HTTP pairs with a computer that is open as localhost, by its link', async () => {
    const { url } = await startSite();
    const lan = url.replace('127.0.0.1', LAN);
    const prepare = (page: Page) =>
      page.route('**/demo/lan-origins', (route) => route.fulfill({ json: [lan] }));
    const computer = await visit(url, { prepare });
    const { code: plain, link } = await makeInvite(computer);
    expect(link).toBe(`${lan}/demo/#code=${plain.replace(' ', '')}`);
    const phone = await visit(lan, { path: link.replace(lan, '') });
    await inSession(computer, phone);
    await expectTrust('Not verified', computer, phone);
    await computer.button('Leave').click();
    await phone.button('Leave').click();

    // A verified code is refused before it is used up.
    await computer.button('Create an invite').click();
    await computer.button('Create a verified code').click();
    await computer.button('Create a code without verification').waitFor();
    const own = computer.page.getByLabel('or open this link there');
    expect(await own.inputValue()).toContain(`${url}/demo/#`);
    expect(await computer.page.locator('#invite-qr').isVisible()).toBe(false);
    const code = (await computer.page.locator('#invite-code').textContent()) ?? '';
    await enterCode(phone, code);
    await phone.page.getByText('This page was opened without HTTPS').waitFor();
    await computer.button('Create a code without verification').click();
    await computer.button('Create a verified code').waitFor();
    await enterCode(phone, (await computer.page.locator('#invite-code').textContent()) ?? '');
    await inSession(computer, phone);
    await computer.button('Leave').click();
    await phone.button('Leave').click();

    // The phone can invite too, and says that it cannot verify.
    const invite = await makeInvite(phone);
    await phone.page.getByText('Browsers can verify devices only on pages over HTTPS.').waitFor();
    expect(await phone.button('Create a verified code').isVisible()).toBe(false);
    await enterCode(computer, invite.code);
    await inSession(computer, phone);
    await expectTrust('Not verified', computer, phone);
  });

  test.each([
    ['is blocked', 'get', 'SecurityError'],
    ['is full', 'setItem', 'QuotaExceededError'],
  ])('the page works if storage %s', async (_, member, name) => {
    const { url } = await startSite();
    const prepare = (page: Page) =>
      page.addInitScript(
        ([member, name]) => {
          const refuse = () => {
            throw new DOMException('no', name);
          };
          if (member === 'get') Object.defineProperty(window, 'sessionStorage', { get: refuse });
          else Storage.prototype.setItem = refuse;
        },
        [member, name] as const,
      );
    const host = await visit(url, { prepare });
    const guest = await visit(url, { prepare });
    await enterCode(guest, (await makeInvite(host)).code);
    await inSession(host, guest);
    await guest.button('Leave').click();
    await enterCode(guest, '000 000');
    await guest.page.getByText('No device is waiting with this code.').waitFor();
    await host.button('Forget this device').click();
    await makeInvite(host);
    await expect
      .poll(() => [host.complaints, guest.complaints])
      .toEqual([[], [expect.stringContaining('404')]]);
  });
});

/** Opens the page like a duplicated tab: same address, and a copy of `sessionStorage`. */
async function duplicate({ page }: Visitor): Promise<Page> {
  const [copy] = await Promise.all([
    page.context().waitForEvent('page'),
    page.evaluate(() => void window.open(location.href)),
  ]);
  await copy.waitForLoadState();
  return copy;
}

const deviceId = (page: Page): Promise<string> =>
  page.evaluate(() => JSON.parse(sessionStorage.getItem('couplet-demo') ?? '').deviceId);
