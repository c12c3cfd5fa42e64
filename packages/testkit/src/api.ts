// Calls the rooms API for tests: JSON in, status and body out.
import { randomInt, randomUUID } from 'node:crypto';

export interface Answer {
  status: number;
  headers: Headers;
  /** Parsed JSON, or undefined if there was no body. */
  body: Record<string, unknown> | undefined;
}

export async function call(
  url: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
  signal?: AbortSignal,
): Promise<Answer> {
  const response = await fetch(url + path, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    ...(signal ? { signal } : {}),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? undefined : JSON.parse(text),
  };
}

/** The requests of the rooms API. */
export function roomsApi(url: string) {
  const post =
    (path: string) =>
    (body?: unknown, headers: Record<string, string> = {}) =>
      call(url, 'POST', path, body, headers);
  return {
    create: post('/api/rooms'),
    accept: post('/api/rooms/accept'),
    check: post('/api/rooms/check'),
    cancel: post('/api/rooms/cancel'),
    purge: post('/api/user/purge'),
    iceServers: post('/api/ice-servers'),
    room: (roomid: unknown) => call(url, 'GET', `/api/rooms?roomid=${roomid}`),
    deleteRoom: (body?: unknown, headers: Record<string, string> = {}) =>
      call(url, 'DELETE', '/api/rooms', body, headers),
  };
}

let nextCode = randomInt(900_000);

/**
 * A join code that no other test of this file uses, and that tests of other files hardly ever use. Codes that begin with 0
 * are left to tests that choose them.
 */
export const someCode = (): string => String(100_000 + (nextCode++ % 900_000));

export const someDevice = (): string => randomUUID().toUpperCase();

/** The body of a create with a new code of a new device. */
export const newPending = (
  changes: Partial<Record<'joinid' | 'client1', string>> & { expiresInSeconds?: number } = {},
) => ({
  joinid: someCode(),
  expiresInSeconds: 300,
  client1: someDevice(),
  ...changes,
});

/** Creates a waiting pending; fails if that is refused. */
export async function createPending(
  url: string,
  pending: { joinid?: string; client1?: string; expiresInSeconds?: number } = {},
): Promise<{ joinid: string; client1: string; exp: string }> {
  const body = newPending(pending);
  const created = await call(url, 'POST', '/api/rooms', body);
  if (created.status !== 201) throw new Error(`create answered ${created.status}`);
  return { joinid: body.joinid, client1: body.client1, exp: created.body?.exp as string };
}

/** Creates, accepts and checks; resolves to two devices and their room. */
export async function pairDevices(
  url: string,
  client1 = someDevice(),
  client2 = someDevice(),
): Promise<{ roomid: string; client1: string; client2: string }> {
  const { joinid } = await createPending(url, { client1 });
  const accepted = await call(url, 'POST', '/api/rooms/accept', { joinid, client2 });
  const checked = await call(url, 'POST', '/api/rooms/check', { joinid, client1 });
  if (checked.body?.roomid !== accepted.body?.roomid) throw new Error('check and accept differ');
  return { roomid: checked.body?.roomid as string, client1, client2 };
}
