// This device: its id and its pairing, kept for this tab. Two tabs are two devices, and a reload is still the same one.
import { Couplet, type SavedSession } from '@couplet/client';

const KEY = 'couplet-demo';

/** The server that this page comes from, also where a proxy has mounted it below a path. */
const SERVER = new URL('..', document.baseURI).href;

/** How many digits the codes of this server have: the server writes it into the page. */
export const JOIN_CODE_DIGITS = Number(document.documentElement.dataset.joinCodeDigits);

/** A new device; or, with an id, that one. */
export const couplet = (deviceId?: string): Couplet =>
  new Couplet({
    url: SERVER,
    joinCodeDigits: JOIN_CODE_DIGITS,
    ...(deviceId === undefined ? {} : { deviceId }),
  });

interface Kept {
  deviceId: string;
  /** The pairing to come back to. */
  session?: SavedSession;
}

/** The device of this tab; the first call makes it. */
export function thisDevice(): Couplet {
  const known = kept();
  const device = couplet(known?.deviceId);
  if (known === undefined) keep({ deviceId: device.deviceId });
  return device;
}

export const savedSession = (): SavedSession | undefined => kept()?.session;

/** Keeps the pairing for the next load of this tab, or forgets it. */
export function saveSession(session: SavedSession | undefined): void {
  const { deviceId } = thisDevice();
  keep(session === undefined ? { deviceId } : { deviceId, session });
}

/** Has the server and this tab forget the device and all its pairings. */
export async function forgetDevice(): Promise<void> {
  await thisDevice().purge();
  sessionStorage.removeItem(KEY);
}

function keep(value: Kept): void {
  sessionStorage.setItem(KEY, JSON.stringify(value));
}

function kept(): Kept | undefined {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? '') as Kept;
  } catch {
    // Nothing kept yet.
    return undefined;
  }
}
