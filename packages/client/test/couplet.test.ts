// Tests the checks of Couplet before a request, and its handling of answers.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { eventually } from '@couplet/testkit/eventually';
import { startServer } from '@couplet/testkit/server';
import { afterAll, expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { Couplet, type CoupletOptions } from '../src/index.js';
import { devicesOf, keptSockets, pairSessions } from './support/fake-device.js';
import { FakeSocket } from './support/fake-socket.js';

const server = await startServer();
afterAll(() => server.close());

const device = devicesOf(server);

/** A device that must not send a request. */
const silent = (more: Partial<CoupletOptions> = {}) =>
  device({ fetch: () => Promise.reject(new Error('a request was sent')), ...more });

test('a code is accepted as a person types it', async () => {
  const invite = await device().invite();
  const eastern = invite.code.replace(/\d/g, (digit) => String.fromCodePoint(0x660 + +digit));
  const guest = await device().accept(`\u200f${eastern.slice(0, 3)}\u2011${eastern.slice(3)} `);
  const host = await invite.accepted;
  expect([host.state, guest.state]).toEqual(['connected', 'connected']);
  host.close();
  guest.close();
});

test.each([
  ...['12345', '1234567', '12345O', '', 'code'].map((code) => [code, 6, '6 or 12'] as const),
  ['123456', 8, '8 or 14'] as const,
])(
  '%j is refused before any request, with codes of %i digits',
  async (code, joinCodeDigits, digits) => {
    await expect(silent({ joinCodeDigits }).accept(code)).rejects.toMatchObject({
      name: 'CoupletError',
      code: 'invalid_joinid',
      message: `A code has ${digits} digits.`,
    });
  },
);

test.each([
  ['WebRTC', { RTCPeerConnection: undefined }, 'RTCPeerConnection'],
  [
    'WebRTC, because its constructor throws',
    {
      RTCPeerConnection: class {
        constructor() {
          throw new Error('turned off');
        }
      } as never,
    },
    'turned off',
  ],
  ['WebSocket', { WebSocket: undefined }, 'WebSocket'],
  ['fetch', { fetch: undefined }, 'fetch'],
])('a platform without %s is unsupported before any request', async (_what, lack, message) => {
  for (const name of ['WebSocket', 'fetch']) vi.stubGlobal(name, undefined);
  onTestFinished(() => void vi.unstubAllGlobals());
  const lacking = silent(lack as never);
  const saved = { version: 1, roomId: 'room', deviceId: 'device' } as const;
  for (const call of [lacking.invite(), lacking.accept('042137'), lacking.resume(saved)]) {
    await expect(call).rejects.toMatchObject({
      name: 'CoupletError',
      code: 'unsupported',
      message: expect.stringContaining(message),
    });
  }
});

test.each(['http://host.invalid', 'http://host.invalid/couplet'])(
  'the WebSocket of %s has a path before its query',
  async (url) => {
    const addresses: string[] = [];
    class Recorded extends FakeSocket {
      constructor(address: string) {
        super();
        addresses.push(address);
      }
    }
    const saved = { version: 1, roomId: '\u0001', deviceId: 'device' } as const;
    const onSession = (session: { close(): void }) => session.close();
    await device({ url, WebSocket: Recorded })
      .resume(saved, { onSession })
      .catch(() => {});
    expect(addresses).toEqual([`ws://host.invalid${new URL(url).pathname}?r=1`]);
  },
);

test.each([
  'nonsense',
  '',
  'couplet.example',
  '/couplet',
  'http://',
  'http://127.0.0.1:99999',
  'https://cou plet.example',
  'https://user:password@couplet.example',
  'https://couplet.example/?room=1',
  'https://couplet.example/#code',
  'wss://couplet.example',
  'ftp://couplet.example',
  'file:///couplet',
  undefined,
])('the address %j is refused', (url) => {
  expect(() => device({ url: url as string })).toThrow(
    expect.objectContaining({
      name: 'CoupletError',
      code: 'invalid_url',
      message: `Expected https://host, got "${String(url).replace(/\/+$/, '')}".`,
    }),
  );
});

test('options are required', () => {
  expect(() => new Couplet(undefined as never)).toThrow('Expected https://host');
});

test('a page at https: takes a server at http: on the same machine only', () => {
  vi.stubGlobal('location', { protocol: 'https:' });
  onTestFinished(() => void vi.unstubAllGlobals());
  for (const url of ['http://localhost:1', 'http://127.0.0.1', 'http://[::1]', 'https://a.example'])
    device({ url });
  for (const url of ['http://192.168.1.2:8080', 'http://a.example']) {
    expect(() => device({ url })).toThrow(expect.objectContaining({ code: 'invalid_url' }));
  }
});

test.each(['HTTP://127.0.0.1', ' http://[::1]:8080/ ', 'https://couplet.example/below/@here//'])(
  'the address %j is accepted',
  async (url) => {
    const refused = silent({ url }).accept('042137', { signal: AbortSignal.abort() });
    await expect(refused).rejects.toMatchObject({ code: 'aborted' });
  },
);

test('both sessions use the connections that were opened before the room was known', async () => {
  const { sockets, Kept } = keptSockets();
  await pairSessions(device({ WebSocket: Kept }), device({ WebSocket: Kept }));
  expect(sockets.map(({ url }) => new URL(url).search)).toEqual(['', '']);
});

test.each([
  [
    'a wrong code',
    'not_found_or_expired',
    (client: Couplet, signal: AbortSignal) => client.accept('042137', { signal }),
  ],
  [
    'a cancelled invite',
    'aborted',
    async (client: Couplet, signal: AbortSignal) => (await client.invite({ signal })).accepted,
  ],
])('%s fails with %s, and leaves no connection open', async (_what, code, call) => {
  const { sockets, Kept } = keptSockets();
  const cancelling = new AbortController();
  const failing = call(device({ WebSocket: Kept }), cancelling.signal);
  if (code === 'aborted') {
    await eventually(() => expect(sockets[0]?.readyState).toBe(Kept.OPEN));
    cancelling.abort();
  }
  await expect(failing).rejects.toMatchObject({ code });
  await eventually(() => expect(sockets.map((each) => each.readyState)).toEqual([Kept.CLOSED]));
});

test('a call with a signal that is already aborted opens no connection', async () => {
  const { sockets, Kept } = keptSockets();
  const options = { signal: AbortSignal.abort() };
  const refused = device({ WebSocket: Kept }).accept('042137', options);
  await expect(refused).rejects.toMatchObject({ code: 'aborted' });
  expect(sockets).toEqual([]);
});

test('a code that lives for more than ten minutes keeps no connection open', async () => {
  const { sockets, Kept } = keptSockets();
  for (const expiresInSeconds of [600, 601]) {
    const { cancel } = await device({ WebSocket: Kept }).invite({ expiresInSeconds });
    onTestFinished(cancel);
  }
  expect(sockets).toHaveLength(1);
});

test.each([
  ['/api/rooms', 1],
  ['/api/rooms/accept', 3],
  ['/api/rooms/check', 3],
])('both devices connect if the answer to %s is lost %i times', async (path, times) => {
  let lost = 0;
  const losing: typeof fetch = async (input, init) => {
    const answer = await fetch(input, init);
    if (!String(input).endsWith(path) || lost === times) return answer;
    lost += 1;
    throw new TypeError('lost');
  };
  await pairSessions(device({ fetch: losing as never }), device({ fetch: losing as never }));
  expect(lost).toBe(times);
});

test('devices connect if no early connection opens', async () => {
  class Late extends WebSocket {
    constructor(url: string) {
      super(new URL(url).search ? url : 'ws://127.0.0.1:1/');
    }
  }
  await pairSessions(device({ WebSocket: Late }), device({ WebSocket: Late }));
});

test('a WebSocket constructor that throws, as for mixed content, ends the session with invalid_url', async () => {
  const cause = new DOMException('An insecure WebSocket may not be initiated', 'SecurityError');
  let tried = 0;
  const Mixed = class {
    constructor() {
      tried += 1;
      throw cause;
    }
  } as never;
  const saved = { version: 1, roomId: 'room', deviceId: 'device' } as const;
  await expect(device({ WebSocket: Mixed }).resume(saved)).rejects.toMatchObject({
    name: 'CoupletError',
    code: 'invalid_url',
    message: 'SecurityError: An insecure WebSocket may not be initiated',
    cause,
  });
  expect(tried).toBe(1);
});

test.each([3_600_000, -3_600_000])(
  'on a device whose clock is wrong by %i ms, a code of five minutes has five minutes left',
  async (wrongByMs) => {
    const { now } = Date;
    vi.spyOn(Date, 'now').mockImplementation(() => now() + wrongByMs);
    onTestFinished(() => void vi.restoreAllMocks());
    const invite = await device().invite();
    onTestFinished(() => invite.cancel());
    for (const leftMs of [invite.expiresInMs(), invite.expiresAt.getTime() - Date.now()]) {
      expect(leftMs).toBeGreaterThan(290_000);
      expect(leftMs).toBeLessThanOrEqual(300_000);
    }
    // Correcting the clock changes nothing.
    vi.restoreAllMocks();
    expect(invite.expiresInMs()).toBeGreaterThan(290_000);
  },
);

/** Starts a server that redirects every request to the real one. */
async function redirecting(status: number) {
  let requests = 0;
  const proxy = createServer((request, response) => {
    requests += 1;
    response.writeHead(status, { Location: server.url + request.url }).end();
  });
  await once(proxy.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void proxy.close());
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  return { couplet: device({ url }), requests: () => requests };
}

test.each([301, 302, 303])('a redirect with %i is reported with its target', async (status) => {
  const { couplet, requests } = await redirecting(status);
  await expect(couplet.invite()).rejects.toMatchObject({
    code: 'unexpected_answer',
    message: `Expected a Couplet server, got status 400 from ${server.url}/api/rooms.`,
  });
  expect(requests()).toBeLessThanOrEqual(3);
});

test.each([307, 308])('a redirect with %i is followed', async (status) => {
  const { couplet } = await redirecting(status);
  expect((await couplet.purge()).success).toBe(true);
  await expect(couplet.accept('042137')).rejects.toMatchObject({ code: 'not_found_or_expired' });
});

/** Resolves once the code can no longer be accepted. */
const goneFor = (code: string) =>
  eventually(async () => {
    const answer = await fetch(`${server.url}/api/rooms/check`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ joinid: code, client1: 'inviter' }),
    });
    expect(answer.status).toBe(404);
  });

test.each(['cancel()', 'the signal'])('%s of an invite deletes its code', async (how) => {
  const abort = new AbortController();
  const inviter = device({ deviceId: 'inviter' });
  const invite = await inviter.invite({ signal: abort.signal });
  const other = await inviter.invite();
  if (how === 'cancel()') invite.cancel();
  else abort.abort();
  await expect(invite.accepted).rejects.toMatchObject({ code: 'aborted' });
  await goneFor(invite.code);
  await expect(device().accept(invite.code)).rejects.toMatchObject({
    code: 'not_found_or_expired',
  });
  // Other invites of the device stay.
  const guest = await device().accept(other.code);
  (await other.accepted).close();
  guest.close();
});

/** A device whose requests are recorded, and optionally answered by the test. */
function noted(
  answer: (path: string, body: Record<string, unknown>) => Promise<Response> | undefined,
) {
  const requests: { path: string; body: Record<string, unknown>; keepalive: boolean }[] = [];
  const through = (url: string, init: RequestInit) => {
    const { pathname: path } = new URL(url);
    const body = JSON.parse(String(init.body));
    requests.push({ path, body, keepalive: init.keepalive === true });
    return answer(path, body) ?? fetch(url, init);
  };
  const cancels = () => requests.filter(({ path }) => path === '/api/rooms/cancel');
  return { couplet: device({ deviceId: 'inviter', fetch: through }), requests, cancels };
}

test('an invite that is aborted during the create leaves no live code', async () => {
  const abort = new AbortController();
  const { couplet, requests, cancels } = noted((path) => {
    if (path === '/api/rooms') setImmediate(() => abort.abort());
    return undefined;
  });
  await expect(couplet.invite({ signal: abort.signal })).rejects.toMatchObject({ code: 'aborted' });
  expect(cancels().map(({ body }) => body.joinid)).toEqual([requests[0]?.body.joinid]);
  await expect(couplet.invite({ signal: abort.signal })).rejects.toMatchObject({ code: 'aborted' });
  expect(requests).toHaveLength(2);
});

test('a cancel uses keepalive first, and is retried without it', async () => {
  let lost = 2;
  const { couplet, cancels } = noted((path) =>
    path === '/api/rooms/cancel' && lost-- > 0 ? Promise.reject(new TypeError('lost')) : undefined,
  );
  const invite = await couplet.invite();
  invite.cancel();
  invite.cancel();
  await goneFor(invite.code);
  expect(cancels().map(({ keepalive }) => keepalive)).toEqual([true, false, false]);
});

test('a server without the cancel endpoint gets one request', async () => {
  const { couplet, cancels } = noted((path) =>
    path === '/api/rooms/cancel'
      ? Promise.resolve(Response.json({ error: 'not_found' }, { status: 404 }))
      : undefined,
  );
  const invite = await couplet.invite();
  invite.cancel();
  await expect(invite.accepted).rejects.toMatchObject({ code: 'aborted' });
  await new Promise(setImmediate);
  expect(cancels()).toHaveLength(1);
});

test('a code that was accepted or has expired is not canceled', async () => {
  const { couplet, cancels } = noted(() => undefined);
  const invite = await couplet.invite();
  const guest = await device().accept(invite.code);
  const host = await invite.accepted;
  invite.cancel();
  expect(host.state).toBe('connected');
  host.close();
  guest.close();
  const expired = await couplet.invite({ expiresInSeconds: 1 });
  await expect(expired.accepted).rejects.toMatchObject({ code: 'not_found_or_expired' });
  expired.cancel();
  expect(cancels()).toEqual([]);
});
