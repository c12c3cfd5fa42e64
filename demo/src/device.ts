// This device: its id and its pairing, kept for this tab. Two tabs are two devices, and a reload is still the same one.
import { Couplet, type SavedSession } from '@couplet/client';
import { claim } from './tab-claim.js';

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
  /** Pairings that were left: the server forgets them only with their secrets. */
  left?: SavedSession[];
}

/** Pairings that are remembered after they were left. */
const MAX_LEFT = 100;

/** What this tab keeps. Memory is the truth: storage may be blocked, and only a reload reads it. */
let kept: Promise<Kept> | undefined;

/** The device of this tab; the first call makes it. */
export async function thisDevice(): Promise<Couplet> {
  kept ??= takeKept();
  return couplet((await kept).deviceId);
}

/** Whether there is a pairing to come back to, unless this tab is a duplicate of one that has it. */
export const mayHaveSession = (): boolean => stored()?.session !== undefined;

export async function savedSession(): Promise<SavedSession | undefined> {
  kept ??= takeKept();
  return (await kept).session;
}

/** Keeps the pairing for the next load of this tab, or forgets it. */
export async function saveSession(session: SavedSession | undefined): Promise<void> {
  kept ??= takeKept();
  const { deviceId, session: before, left = [] } = await kept;
  if (before && before.roomId !== session?.roomId) left.push(before);
  keep({ deviceId, left: left.slice(-MAX_LEFT), ...(session && { session }) });
}

/** Has the server and this tab forget the device and all its pairings. */
export async function forgetDevice(): Promise<void> {
  const device = await thisDevice();
  const { session, left = [] } = await (kept ?? takeKept());
  await device.purge({ sessions: session ? [...left, session] : left });
  kept = undefined;
  storage()?.removeItem(KEY);
}

/** The stored device, if it is this tab's alone; otherwise a new one, with nothing to come back to. */
async function takeKept(): Promise<Kept> {
  const known = stored();
  if (known && (await claim(`${KEY}:${known.deviceId}`))) return known;
  const { deviceId } = couplet();
  keep({ deviceId });
  // Free for certain; claimed for the duplicates to come.
  if (stored()) void claim(`${KEY}:${deviceId}`);
  return { deviceId };
}

function keep(value: Kept): void {
  kept = Promise.resolve(value);
  try {
    storage()?.setItem(KEY, JSON.stringify(value));
  } catch {
    // No room: what is lost is the way back after a reload.
  }
}

function stored(): Kept | undefined {
  try {
    const value = JSON.parse(storage()?.getItem(KEY) ?? '') as Kept | null;
    return typeof value?.deviceId === 'string' ? value : undefined;
  } catch {
    // Nothing stored, or nothing of ours.
    return undefined;
  }
}

/** Undefined where the browser blocks it: even reading the property throws then. */
function storage(): Storage | undefined {
  try {
    return sessionStorage;
  } catch {
    return undefined;
  }
}
