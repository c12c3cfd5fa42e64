// Stores the device id and the pairing of this tab. Each tab is a device, which stays the same across reloads.
import { Couplet, type SavedSession } from '@couplet/client';
import { setPushTarget } from '@couplet/client/push';
import { claim } from './tab-claim.js';

const KEY = 'couplet-demo';

/** The server of this page, including the path under which a proxy mounts it. */
const SERVER = new URL('..', document.baseURI).href;

/** Number of digits in a join code. The server writes it into the page. */
export const JOIN_CODE_DIGITS = Number(document.documentElement.dataset.joinCodeDigits);

/** Creates the client of a device: of a new one, unless an id is given. */
export const couplet = (deviceId?: string): Couplet =>
  new Couplet({
    url: SERVER,
    joinCodeDigits: JOIN_CODE_DIGITS,
    ...(deviceId === undefined ? {} : { deviceId }),
  });

interface Kept {
  deviceId: string;
  /** The pairing to resume. */
  session?: SavedSession;
  /** Pairings that the user has left. Their secrets are needed to delete them from the server. */
  left?: SavedSession[];
}

type StorageName = 'sessionStorage' | 'localStorage';

/** Maximum number of left pairings to keep. */
const MAX_LEFT = 100;

/** The data of this tab. Storage is only read after a reload, because it may be blocked. */
let kept: Promise<Kept> | undefined;

/** Returns the device of this tab. The first call creates it. */
export async function thisDevice(): Promise<Couplet> {
  kept ??= takeKept();
  return couplet((await kept).deviceId);
}

/** Whether there is a stored pairing. If this tab is a duplicate, the pairing belongs to the other tab. */
export const mayHaveSession = (): boolean => stored()?.session !== undefined;

export async function savedSession(): Promise<SavedSession | undefined> {
  kept ??= takeKept();
  return (await kept).session;
}

/** Stores the pairing for the next load of this tab; undefined deletes it. */
export async function saveSession(session: SavedSession | undefined): Promise<void> {
  kept ??= takeKept();
  const { deviceId, session: before, left = [] } = await kept;
  if (before && before.roomId !== session?.roomId) {
    const { key: _, ...withoutKey } = before;
    left.push(withoutKey);
    // Leaving does not wait for the server.
    if (isNotified(before.roomId)) void forgetNotified(before).catch(() => {});
  }
  // A comparison of digits may have changed it.
  if (session && isNotified(session.roomId)) setNotified(session);
  keep({ deviceId, left: left.slice(-MAX_LEFT), ...(session && { session }) });
}

/** Deletes the device and all its pairings from the server and from this tab. */
export async function forgetDevice(): Promise<void> {
  const device = await thisDevice();
  const { session, left = [] } = await (kept ?? takeKept());
  await device.purge({ sessions: session ? [...left, session] : left });
  kept = undefined;
  storage()?.removeItem(KEY);
  if (session) storage('localStorage')?.removeItem(notifiedKey(session.roomId));
}

const notifiedKey = (roomId: string) => `${KEY}:notified:${roomId}`;

/** Whether the user wants notifications for a pairing. */
export const isNotified = (roomId: string): boolean =>
  Boolean(storage('localStorage')?.getItem(notifiedKey(roomId)));

/** Stores a pairing for a tab that a notification opens. Other tabs cannot read the storage of this one. */
export function setNotified(session: SavedSession): void {
  write('localStorage', notifiedKey(session.roomId), { deviceId: session.deviceId, session });
}

/** Ends the notifications for a pairing, in this browser and at the server. */
export async function forgetNotified(session: SavedSession): Promise<void> {
  storage('localStorage')?.removeItem(notifiedKey(session.roomId));
  await setPushTarget(couplet(), session, null);
}

/** Makes the pairing of a notification that of this tab, unless another tab has it. */
export async function takeNotified(roomId: string): Promise<void> {
  const value = stored('localStorage', notifiedKey(roomId));
  if (value && (await claim(`${KEY}:${value.deviceId}`))) keep(value);
}

/** Returns the stored device if no other tab uses it; otherwise a new device without a pairing. */
async function takeKept(): Promise<Kept> {
  const known = stored();
  if (known && (await claim(`${KEY}:${known.deviceId}`))) return known;
  const { deviceId } = couplet();
  keep({ deviceId });
  // The new id is not in use. Claim it so that a later duplicate of this tab does not use it.
  if (stored()) void claim(`${KEY}:${deviceId}`);
  return { deviceId };
}

function keep(value: Kept): void {
  kept = Promise.resolve(value);
  write('sessionStorage', KEY, value);
}

function write(where: StorageName, key: string, value: Kept): void {
  try {
    storage(where)?.setItem(key, JSON.stringify(value));
  } catch {
    // Storage is full: only resuming after a reload is lost.
  }
}

function stored(where: StorageName = 'sessionStorage', key = KEY): Kept | undefined {
  try {
    const value = JSON.parse(storage(where)?.getItem(key) ?? '') as Kept | null;
    return typeof value?.deviceId === 'string' ? value : undefined;
  } catch {
    // Nothing is stored, or data of another format.
    return undefined;
  }
}

/** Returns undefined if the browser blocks storage. Then even reading the property throws. */
function storage(name: StorageName = 'sessionStorage'): Storage | undefined {
  try {
    return window[name];
  } catch {
    return undefined;
  }
}
