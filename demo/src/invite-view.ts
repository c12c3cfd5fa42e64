// Shows an invite: code, QR code, link and remaining time.
import type { Invite } from '@couplet/client';
import { byId } from './dom.js';
import { clock } from './format.js';
import { grouped, joinLink, spoken } from './join-code.js';
import { qrCode } from './qr-code.js';

/** Shows the invite, and counts down until the signal is aborted. */
export function showInvite({ code, expiresInMs }: Invite, signal: AbortSignal): void {
  byId('invite-code', 'span').textContent = grouped(code);
  byId('invite-code-spoken', 'span').textContent = `Code: ${spoken(code)}`;
  byId('copy-note', 'p').textContent = '';
  showLink(joinLink(document.baseURI, code));
  void reachableLink(code).then((link) => {
    if (link !== undefined && !signal.aborted) showLink(link);
  });
  byId('copy-link', 'button').addEventListener('click', () => void copy(), { signal });
  const share = byId('share-link', 'button');
  share.hidden = !('share' in navigator);
  share.addEventListener('click', () => void shareLink(), { signal });
  const tick = () => {
    byId('invite-countdown', 'p').textContent =
      `Valid for ${clock(expiresInMs())}, for one device.`;
  };
  tick();
  const timer = setInterval(tick, 1000);
  signal.addEventListener('abort', () => clearInterval(timer));
}

function showLink(link: string): void {
  byId('invite-link', 'input').value = link;
  byId('invite-qr', 'div').replaceChildren(qrCode(link, 'QR code of the link'));
}

/** The link for a phone, if this page is open as localhost, which on the phone is the phone itself. */
async function reachableLink(code: string): Promise<string | undefined> {
  if (!/^(localhost|127\.[\d.]+|\[::1\])$/.test(location.hostname)) return undefined;
  try {
    const origins: unknown = await (await fetch('lan-origins')).json();
    const [origin] = Array.isArray(origins) ? origins : [];
    if (typeof origin !== 'string') return undefined;
    return joinLink(origin + location.pathname, code);
  } catch {
    // An older server, or one that just stopped: the link of this page stays.
    return undefined;
  }
}

async function shareLink(): Promise<void> {
  try {
    await navigator.share({ title: 'Couplet', url: byId('invite-link', 'input').value });
  } catch (error) {
    // The user closed the menu.
    if ((error as Error).name !== 'AbortError') await copy();
  }
}

async function copy(): Promise<void> {
  const input = byId('invite-link', 'input');
  const note = byId('copy-note', 'p');
  try {
    await navigator.clipboard.writeText(input.value);
    note.textContent = 'Copied.';
  } catch {
    // Not allowed, or an insecure context: the user copies the selected link.
    input.focus();
    input.select();
    note.textContent = 'Copy the selected link.';
  }
}
