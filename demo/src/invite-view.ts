// Creates an invite and shows it: code, QR code, link, remaining time, and whether the devices verify each other by the code.
import { type Couplet, CoupletError, type Invite, type SessionOptions } from '@couplet/client';
import { nameOf } from './device-name.js';
import { byId } from './dom.js';
import { clock } from './format.js';
import { grouped, joinLink, spoken } from './join-code.js';
import { qrCode } from './qr-code.js';

/** The letter spacing of the code in the style sheet. */
const LETTER_SPACING_EMS = 0.04;

/**
 * Creates an invite, and shows it until the signal is aborted.
 *
 * @param verify whether to verify. By default, if the page that the link opens can do it.
 */
export async function createInvite(
  device: Couplet,
  options: Required<SessionOptions>,
  verify?: boolean,
): Promise<Invite> {
  const lanPage = await pageInLan(options.signal);
  // Browsers provide the cryptography only over HTTPS and on localhost.
  const leadsToHttp = lanPage?.startsWith('http:') ?? false;
  const tries = verify ?? !leadsToHttp;
  const invite = await device.invite({ ...options, verify: tries }).catch((error: unknown) => {
    if (!tries || !(error instanceof CoupletError) || error.code !== 'unsupported') throw error;
    // The view says that this code is not verified.
    return device.invite(options);
  });
  const isVerified = invite.link !== undefined;
  // A verified link must not lead to a page that cannot verify.
  const page = (isVerified && leadsToHttp ? undefined : lanPage) ?? document.baseURI;
  showLink(invite.link?.(page) ?? joinLink(page, invite.code));
  // On a phone, a link to localhost leads to the phone itself.
  byId('invite-qr', 'div').hidden = isVerified && leadsToHttp;
  byId('invite-verified', 'p').hidden = !isVerified;
  byId('invite-plain', 'p').hidden = isVerified;
  byId('invite-plain-why', 'span').textContent = whyPlain(tries, leadsToHttp && verify !== false);
  byId('make-verified', 'button').hidden = tries;
  byId('invite-name', 'strong').textContent = nameOf(device.deviceId);
  showCode(invite, options.signal);
  return invite;
}

function whyPlain(wasTried: boolean, leadsToHttp: boolean): string {
  if (wasTried && isSecureContext) return 'This browser is too old to verify devices.';
  if (wasTried) return 'Browsers can verify devices only on pages over HTTPS.';
  if (leadsToHttp) return 'The link uses HTTP, over which browsers cannot verify devices.';
  return 'You can compare safety numbers after you have connected.';
}

function showCode({ code, expiresInMs }: Invite, signal: AbortSignal): void {
  const shown = byId('invite-code', 'span');
  shown.textContent = grouped(code);
  shown.style.setProperty('--ems', String(emsOf(shown)));
  byId('invite-code-spoken', 'span').textContent = `Code: ${spoken(code)}`;
  byId('copy-note', 'p').textContent = '';
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

/** The width of a text in its own font, in multiples of the font size. The code fills its card in every font. */
function emsOf(element: HTMLElement): number {
  const text = element.textContent ?? '';
  const context = document.createElement('canvas').getContext('2d') as CanvasRenderingContext2D;
  context.font = `700 100px ${getComputedStyle(element).fontFamily}`;
  return context.measureText(text).width / 100 + text.length * LETTER_SPACING_EMS;
}

function showLink(link: string): void {
  byId('invite-link', 'input').value = link;
  byId('invite-qr', 'div').replaceChildren(qrCode(link, 'QR code of the link'));
}

/** This page as a phone can open it, if it is open as localhost, which on the phone is the phone itself. */
async function pageInLan(signal: AbortSignal): Promise<string | undefined> {
  if (!/^(localhost|127\.[\d.]+|\[::1\])$/.test(location.hostname)) return undefined;
  try {
    const origins: unknown = await (await fetch('lan-origins', { signal })).json();
    const [origin] = Array.isArray(origins) ? origins : [];
    return typeof origin === 'string' ? origin + location.pathname : undefined;
  } catch {
    // An older server, or one that just stopped: the link has the address of this page.
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
