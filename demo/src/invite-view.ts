// Shows an invite: code, QR code, link and remaining time.
import type { Invite } from '@couplet/client';
import { byId } from './dom.js';
import { clock } from './format.js';
import { grouped, joinLink, spoken } from './join-code.js';
import { qrCode } from './qr-code.js';

/** Shows the invite, and counts down until the signal is aborted. */
export function showInvite({ code, expiresInMs }: Invite, signal: AbortSignal): void {
  const link = joinLink(document.baseURI, code);
  byId('invite-code', 'span').textContent = grouped(code);
  byId('invite-code-spoken', 'span').textContent = `Code: ${spoken(code)}`;
  byId('invite-link', 'input').value = link;
  byId('copy-note', 'p').textContent = '';
  byId('invite-qr', 'div').replaceChildren(qrCode(link, 'QR code of the link'));
  byId('copy-link', 'button').addEventListener('click', () => void copy(), { signal });
  const tick = () => {
    byId('invite-countdown', 'p').textContent =
      `Valid for ${clock(expiresInMs())}, for one device.`;
  };
  tick();
  const timer = setInterval(tick, 1000);
  signal.addEventListener('abort', () => clearInterval(timer));
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
