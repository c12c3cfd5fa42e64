// Starts the page at /demo. The fragment selects one of two pages. @couplet/client handles pairing and WebRTC.
import { JOIN_CODE_DIGITS, takeNotified } from './device.js';
import { DevicesPage } from './devices-page.js';
import { byId } from './dom.js';
import { codeIn } from './join-code.js';
import { startTabs } from './tabs.js';
import { startTestPage } from './test-page.js';

/** Returns the code or secret of a join link, and removes it from the address bar, so that a reload does not join again. */
function takeCode(): string | undefined {
  if (!/^#(code=|\d+\.)/.test(location.hash)) return undefined;
  const code = codeIn(location.hash, JOIN_CODE_DIGITS);
  history.replaceState(null, '', location.pathname + location.search);
  return code;
}

function showPage(): void {
  const isTest = location.hash === '#test';
  const [devices, test] = [byId('nav-devices', 'a'), byId('nav-test', 'a')];
  byId('page-devices', 'div').hidden = isTest;
  byId('page-test', 'section').hidden = !isTest;
  for (const [link, isCurrent] of [
    [devices, !isTest],
    [test, isTest],
  ] as const) {
    link.ariaCurrent = isCurrent ? 'page' : null;
  }
}

/** Takes over the room of the notification that has opened this page. */
async function takeRoom(): Promise<void> {
  const [, roomId] = /^#notified=(.+)$/.exec(location.hash) ?? [];
  if (roomId === undefined) return;
  history.replaceState(null, '', location.pathname + location.search);
  await takeNotified(decodeURIComponent(roomId));
}

startTabs();
startTestPage();
const page = new DevicesPage();
await takeRoom();
page.open(takeCode());
showPage();
addEventListener('hashchange', () => {
  const code = takeCode();
  if (code !== undefined) void page.join(code);
  showPage();
});
