// Tests the demo page in real browsers, through its labels, buttons and keyboard.
import { describeWith } from '@couplet/testkit/components';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { secretsFor } from '../../packages/client/src/verify/code.js';
import {
  compare,
  enterCode,
  expectMessage,
  expectPicture,
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

describeWith(['chromium'], 'the demo page', () => {
  useBrowser();

  test('the link joins at once, and its secret is removed from the address and is never sent', async () => {
    const { url } = await startSite();
    const sent: string[] = [];
    const prepare = async (page: Page) => {
      page.on('request', (request) => sent.push(request.url(), request.postData() ?? ''));
      page.on('websocket', (socket) =>
        socket.on('framesent', ({ payload }) => sent.push(String(payload))),
      );
    };
    const host = await visit(url, { prepare });
    const { code, link } = await makeInvite(host);
    // Right also when the clock is set.
    await host.page.evaluate(() => {
      const { now } = Date;
      Date.now = () => now() + 3_600_000;
    });
    const countdown = () => host.page.locator('#invite-countdown').textContent();
    const before = await countdown();
    await expect.poll(countdown).not.toBe(before);
    expect(await countdown()).toMatch(/^Valid for 4:\d\d, for one device\.$/);
    const [, joinCode, secret = ''] = /\/demo\/#(\d{6})\.([\w-]{22})$/.exec(link) ?? [];
    expect(joinCode).toBe(code.replaceAll(' ', '').slice(0, 6));
    const guest = await visit(url, { path: link.replace(url, ''), prepare });
    await inSession(host, guest);
    await expectTrust('Verified', host, guest);
    expect(guest.page.url()).toBe(`${url}/demo/`);
    const digits = code.replaceAll(' ', '');
    expect(sent.join()).toContain('couplet-cpace1');
    for (const hidden of [secret, digits]) {
      expect(sent.filter((text) => text.includes(hidden))).toEqual([]);
    }
    expect([host.complaints, guest.complaints]).toEqual([[], []]);
  });

  test('a third party without the secret raises an alarm on both devices', async () => {
    const { url } = await startSite();
    const [host, attacker] = [await visit(url), await visit(url)];
    const { code } = await makeInvite(host);
    const digits = code.replaceAll(' ', '');
    let guess = digits;
    while (guess === digits) guess = secretsFor(digits.slice(0, 6)).code;
    await enterCode(attacker, guess);
    for (const visitor of [host, attacker]) {
      await visitor.heading('Stop: the devices have different codes').waitFor();
      expect(await visitor.page.getByRole('alert').innerText()).toContain('Nothing was sent');
    }
    await host.button('New invite').click();
    await host.button('Create a code without verification').waitFor();
    await attacker.button('Leave').click();
    await enterCode(attacker, (await host.page.locator('#invite-code').textContent()) ?? '');
    await inSession(host, attacker);
  });

  test('equal safety numbers verify the pairing, also after a reload', async () => {
    const { url } = await startSite();
    const [host, guest] = await meet(url, {}, makePlainInvite);
    await compare(host, guest);
    await host.button('They match').click();
    await guest.button('They match').click();
    await expectTrust('Verified', host, guest);
    await host.page.reload();
    await guest.heading('Stop: this is not the device you verified').waitFor();
    expect(await guest.page.locator('#session-title').isVisible()).toBe(false);
    await guest.button('Connect again').click();
    await inSession(host, guest);
    await expectTrust('Verified', host, guest);
  });

  test('different safety numbers end the session with an alarm', async () => {
    const { url } = await startSite();
    const [host, guest] = await meet(url, {}, makePlainInvite);
    await compare(host, guest);
    await host.button('They differ').click();
    await host.heading('Stop: the safety numbers are different').waitFor();
    // A reload does not connect without the user.
    await host.page.reload();
    await host.heading('Connect two devices').waitFor();
    await guest.page.getByText(/^\w+ \w+ left\.$/).waitFor({ state: 'attached' });
  });

  test('each device has a name, which titles the session of the other one; its connection is described', async () => {
    const { url } = await startSite();
    const host = await visit(url);
    const { code } = await makeInvite(host);
    const name = await host.page.locator('#invite-name').innerText();
    expect(name).toMatch(/^[A-Z][a-z]+ [A-Z][a-z]+$/);
    const guest = await visit(url);
    await enterCode(guest, code);
    await guest.heading(name).waitFor();
    // Not a reload, after which the two could be connected again before the test has seen that they were not.
    await host.page.goto('about:blank');
    await guest.page.getByText('Connection lost; reconnecting.').waitFor();
    await host.page.goto(`${url}/demo/`);
    await guest.heading(name).waitFor();
    await inSession(host);
    await host.tab('Connection').click();
    expect(await host.page.locator('#fact-name').innerText()).toBe(name);
    const panel = host.page.getByRole('tabpanel', { name: 'Connection' });
    // Either direct path: if a check arrives before the candidate, the address is peer-reflexive.
    await panel.getByText(/^Direct, /).waitFor();
    await panel.getByText('Connected; both devices are in the room').waitFor();
    await expect.poll(() => host.page.locator('#fact-round-trip').innerText()).toMatch(/\d ms$/);
    const used = panel.locator('tr.used');
    await expect
      .poll(() => used.allInnerTexts())
      .toEqual([
        expect.stringMatching(/^this\s+\S.*\s+UDP\s+\S+:\d+\s+yes$/),
        expect.stringMatching(/^other\s+\S.*\s+UDP\s+\S+:\d+\s+yes$/),
      ]);
  });

  test.each([
    ['left', 'left this session'],
    ['closed its page', 'is not there. Its page was closed, or it is offline.'],
  ])('a device that %s is reported, with a new invite', async (how, words) => {
    const { url } = await startSite();
    const [host, guest] = await meet(url);
    // The rings are linked while the devices are.
    const ring = host.page.locator('.session-head .one').first();
    const offset = () => ring.evaluate((element) => getComputedStyle(element).translate);
    await expect.poll(offset).toBe('0px');
    expect(await ring.evaluate((element) => getComputedStyle(element).animationName)).toBe('link');
    if (how === 'left') await guest.button('Leave').click();
    else await guest.page.close();
    await host.page.locator('#absence').getByText(words).waitFor();
    await expect.poll(offset).toBe('-8px');
    if (how === 'left') {
      await write(host, 'Anybody?');
      await host.page.getByText('Not delivered. The other device is not connected').waitFor();
      expect(await host.page.locator('#chat-text').inputValue()).toBe('Anybody?');
    }
    // After a reload, it is reported in place of the session.
    if (how !== 'left') {
      await host.page.reload();
      await host.page.getByText('This page connects when it is back.').waitFor();
    }
    await host.button('New invite').click();
    await host.heading('Enter this code').waitFor();
    await host.page.reload();
    await host.heading('Connect two devices').waitFor();
  });

  test('the link is shared if the browser has a menu for it, and copied, or selected if copying is not allowed', async () => {
    const { url } = await startSite();
    const shared: unknown[] = [];
    const allowed = await visit(url, {
      permissions: ['clipboard-read', 'clipboard-write'],
      prepare: async (page) => {
        await page.exposeFunction('noteShared', (data: unknown) => void shared.push(data));
        await page.addInitScript('navigator.share = (data) => noteShared(data)');
      },
    });
    const { link } = await makeInvite(allowed);
    await allowed.button('Copy link').click();
    await allowed.page.getByText('Copied.').waitFor();
    expect(await allowed.page.evaluate(() => navigator.clipboard.readText())).toBe(link);
    await allowed.button('Share').click();
    await expect.poll(() => shared).toEqual([{ title: 'Couplet', url: link }]);

    const refused = await visit(url);
    await refused.page.evaluate(() => {
      Object.defineProperty(navigator, 'clipboard', { value: undefined });
    });
    const other = await makeInvite(refused);
    await refused.button('Copy link').click();
    await refused.page.getByText('Copy the selected link.').waitFor();
    expect(await refused.page.evaluate(() => String(getSelection()))).toBe(other.link);
  });

  test('a call rings on every page, is declined and answered, and both mute, share and hang up', async () => {
    const { url } = await startSite();
    const notes: string[] = [];
    const [host, guest] = await meet(url, {
      permissions: ['camera', 'microphone'],
      prepare: async (page) => {
        await page.exposeFunction('noteSound', () => void notes.push('sound'));
        await page.addInitScript(() => {
          const { start } = OscillatorNode.prototype;
          OscillatorNode.prototype.start = function (...at) {
            void (globalThis as unknown as { noteSound(): unknown }).noteSound();
            start.apply(this, at);
          };
        });
      },
    });
    const [hostName, guestName] = await Promise.all(
      [guest, host].map(({ page }) => page.locator('#session-title').innerText()),
    );
    await guest.page.getByRole('link', { name: 'Connection test' }).click();
    await host.tab('Call').click();
    await host.button('Start with camera').click();
    const banner = guest.page.getByRole('alert').filter({ hasText: 'is calling' });
    await banner.getByText(`${hostName} is calling, with camera.`).waitFor();
    expect(await guest.page.title()).toBe(`${hostName} is calling`);
    await expect.poll(() => notes.length).toBeGreaterThan(0);
    await banner.getByRole('button', { name: 'Decline' }).click();
    expect(await guest.page.title()).toBe('Couplet');
    await host.page.getByText(`${guestName} did not take the call.`).waitFor();

    await host.button('Start with camera').click();
    await banner.getByRole('button', { name: 'Answer with microphone' }).click();
    await host.page.getByText(`In a call with ${guestName}, with sound only.`).waitFor();
    await guest.page.getByText(`In a call with ${hostName}, with camera.`).waitFor();
    await expectPicture(guest, '#remote-video');
    await banner.waitFor({ state: 'hidden' });

    const mute = host.button('Mute');
    await mute.click();
    expect(await mute.getAttribute('aria-pressed')).toBe('true');
    await host.button('Camera off').click();
    await guest.page.getByText(`In a call with ${hostName}, with sound only.`).waitFor();
    const share = guest.button('Share screen');
    await share.click();
    await expectPicture(host, '#remote-video');
    expect(await share.getAttribute('aria-pressed')).toBe('true');
    const fill = host.button('Full screen');
    await fill.click();
    await expect.poll(() => fill.getAttribute('aria-pressed')).toBe('true');
    await share.click();
    await host.page.getByText('with sound only.').waitFor();

    await host.button('Hang up').click();
    for (const { page } of [host, guest]) await page.getByText('Nobody is calling.').waitFor();
    expect(await host.page.evaluate(() => document.fullscreenElement)).toBe(null);
    // Nobody answers.
    await guest.tab('Chat').click();
    await host.page.clock.install();
    await host.button('Start with microphone').click();
    await banner.getByText(`${hostName} is calling, with sound only.`).waitFor();
    await host.page.clock.fastForward(45_000);
    await host.page.getByText(`No answer from ${guestName}.`).waitFor();
    await guest.page.locator('#tab-call.unread').click();
    await guest.page.getByText(`Missed call from ${hostName}.`).waitFor();
    // A device that is gone does not ring.
    await host.button('Start with camera').click();
    await banner.waitFor();
    await host.page.close();
    await banner.waitFor({ state: 'hidden' });
    expect([host.complaints, guest.complaints]).toEqual([[], []]);
  });

  test('a reload resumes the verified session, leaving ends it, and a forgotten device has no pairing left', async () => {
    const { url } = await startSite();
    const [host, guest] = await meet(url);
    await guest.page.reload();
    await inSession(guest);
    await expectTrust('Verified', host, guest);
    await guest.page.locator('#trust-word').click();
    await guest.page.getByText('they were verified when they were paired').waitFor();
    await write(guest, 'Here I am again');
    await expectMessage(host, 'Other device: Here I am again');
    // There is nothing to compare.
    await guest.tab('Connection').click();
    expect(await guest.button('Compare').isVisible()).toBe(false);

    await guest.button('Leave').click();
    await guest.heading('Connect two devices').waitFor();
    await host.page.getByText(/^\w+ \w+ left\.$/).waitFor();
    // The channel may close before the page receives `peer-left`, but nothing is lost.
    const notes = await host.page.locator('.message').allTextContents();
    expect(notes.at(-2)).toBe('Other device: Here I am again');
    await guest.page.reload();
    await guest.heading('Connect two devices').waitFor();

    const kept = await host.page.evaluate(() => sessionStorage.getItem('couplet-demo'));
    const { roomId } = JSON.parse(kept ?? '').session;
    const room = async () => (await fetch(`${url}/api/rooms?roomid=${roomId}`)).status;
    expect(await room()).toBe(200);
    await host.button('Forget this device').click();
    await host.heading('Connect two devices').waitFor();
    await expect.poll(room).toBe(404);
  });

  test('a wrong code shows a message, and the next code works', async () => {
    const { url } = await startSite();
    const visitor = await visit(url);
    await enterCode(visitor, '12 34');
    await visitor.page.getByText('A code has 12 or 6 digits.').waitFor();
    await enterCode(visitor, '123456');
    await visitor.page.getByText('No device is waiting with this code.').waitFor();
    expect(await visitor.page.getByLabel('Second device').inputValue()).toBe('123456');
    expect(await focused(visitor)).toBe('join-code');
    const { code } = await makeInvite(await visit(url));
    await enterCode(visitor, code);
    await inSession(visitor);
  });

  test('an expired code is reported to the device that created it', async () => {
    const { url } = await startSite();
    const host = await visit(url);
    await host.page.route('**/api/rooms', (route) => {
      const postData = { ...route.request().postDataJSON(), expiresInSeconds: 1 };
      return route.continue({ postData });
    });
    await host.button('Create an invite').click();
    await host.page.getByText('The code was not used in time. Create a new invite.').waitFor();
    await host.heading('Connect two devices').waitFor();
  });

  test('messages that arrive on another tab are scrolled into view', async () => {
    const { url } = await startSite();
    const [host, guest] = await meet(url);
    await host.tab('Files').click();
    for (let n = 1; n <= 30; n++) await write(guest, `Message ${n}`);
    await expectMessage(host, 'Other device: Message 30');
    await host.page.locator('#tab-chat.unread').waitFor();
    await host.tab('Chat').click();
    const below = () =>
      host.page
        .locator('#chat-log')
        .evaluate((log) => log.scrollHeight - log.scrollTop - log.clientHeight);
    await expect.poll(below).toBeLessThan(1);
  });

  test('the page can be used by keyboard alone, with codes of eight digits, an ALLOWED_ORIGINS of another app, and if only paired devices may join', async () => {
    const { url } = await startSite({
      JOIN_CODE_DIGITS: '8',
      ALLOWED_ORIGINS: 'https://app.example',
      REQUIRE_PAIRED_ROOMS: '1',
    });
    const [host, guest] = [await visit(url), await visit(url)];
    await host.button('Create an invite').focus();
    await host.page.keyboard.press('Enter');
    await host.heading('Enter this code').waitFor();
    expect(await focused(host)).toBe('invite-title');
    const code = (await host.page.locator('#invite-code').textContent()) ?? '';
    expect(code).toMatch(/^\d{4} \d{4} \d{4} \d\d$/);
    await tabTo(guest, 'join-code');
    await guest.page.keyboard.type(code);
    await guest.page.keyboard.press('Enter');
    await inSession(host, guest);
    expect(await focused(guest)).toBe('session-title');
    await tabTo(guest, 'tab-chat');
    for (const name of ['tab-files', 'tab-call', 'tab-connection', 'tab-chat']) {
      await guest.page.keyboard.press('ArrowRight');
      expect(await focused(guest)).toBe(name);
    }
    await guest.page.keyboard.press('End');
    expect(await focused(guest)).toBe('tab-connection');
    await guest.page.keyboard.press('Home');
    await tabTo(guest, 'chat-text');
    await guest.page.keyboard.type('No <b>mouse</b>');
    await guest.page.keyboard.press('Enter');
    await expectMessage(host, 'Other device: No <b>mouse</b>');
    await expectMessage(guest, 'You: No <b>mouse</b>');
    await expectTrust('Verified', host, guest);
    expect([host.complaints, guest.complaints]).toEqual([[], []]);
  });
});

const focused = ({ page }: Visitor) => page.evaluate(() => document.activeElement?.id);

/** Presses the Tab key until the element has the focus. */
async function tabTo(visitor: Visitor, id: string): Promise<void> {
  for (let presses = 0; presses < 30; presses++) {
    await visitor.page.keyboard.press('Tab');
    if ((await focused(visitor)) === id) return;
  }
  throw new Error(`the Tab key does not reach ${id}`);
}
