// Tests the option `token`: sent with every request and every connection, never in a URL, with a clear error if it fails.

import type { IncomingMessage } from 'node:http';
import { startServer } from '@couplet/testkit/server';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import type { PeerSession } from '../src/index.js';
import { devicesOf, keptSockets, pairSessions } from './support/fake-device.js';

/** Tokens that the server accepts. */
const valid = new Set<string | undefined>(['static.token', 'a+b/c==']);
/** Paths and tokens of requests and opening handshakes. */
const seen: { url: string; token: string | undefined }[] = [];
const rule = ({ url = '', headers }: Pick<IncomingMessage, 'url' | 'headers'>) => {
  const token = headers.authorization?.replace('Bearer ', '');
  seen.push({ url, token });
  return valid.has(token);
};
const server = await startServer({}, { authorize: { request: rule, connect: rule } });
afterAll(() => server.close());

const device = devicesOf(server);
const saved = { version: 1, roomId: 'room', deviceId: 'device' } as const;

/** Resolves at the next change of the signaling state to this one. */
const reaches = (session: PeerSession, state: string) =>
  new Promise<void>((resolve) => {
    const off: () => void = session.on('signaling', (now) => {
      if (now !== state) return;
      off();
      resolve();
    });
  });

test('a token is sent with each request and each connection, and is in no URL', async () => {
  seen.length = 0;
  await pairSessions(device({ token: 'static.token' }), device({ token: () => 'a+b/c==' }));
  const withTokens = seen.filter(({ token }) => valid.has(token));
  expect(withTokens).toHaveLength(seen.length);
  expect(seen.filter(({ url }) => url === '/')).toHaveLength(2);
  for (const { url } of seen) expect(decodeURIComponent(url)).not.toMatch(/static|a\+b/);
});

test('a function is called for each request and each reconnect', async () => {
  let calls = 0;
  const token = async () => {
    const next = `token-${++calls}`;
    valid.add(next);
    return next;
  };
  const { sockets, Kept } = keptSockets();
  seen.length = 0;
  const [host] = await pairSessions(
    device({ token, WebSocket: Kept }),
    device({ token: 'static.token' }),
  );
  const ready = reaches(host, 'ready');
  sockets.at(-1)?.close(4000);
  await ready;
  const own = seen.flatMap(({ token }) => (token?.startsWith('token-') ? token : []));
  expect(own.length).toBe(calls);
  expect(new Set(own).size).toBe(calls);
  expect(sockets).toHaveLength(2);
});

const failures: [string, () => unknown, string][] = [
  ['rejects', () => Promise.reject(new Error('signed out')), 'Error: signed out'],
  [
    'throws',
    () => {
      throw new Error('signed out');
    },
    'Error: signed out',
  ],
  ['returns nothing', () => undefined, 'TypeError: invalid token'],
  ['returns an empty text', () => '', 'TypeError: invalid token'],
  ['returns more than a token', async () => 'secret\r\nX-Admin: 1', 'TypeError: invalid token'],
];

const callsOf = (couplet: ReturnType<typeof device>): (() => Promise<unknown>)[] => [
  () => couplet.invite(),
  () => couplet.accept('042137'),
  () => couplet.resume(saved),
  () => couplet.iceServers(saved),
  () => couplet.purge(),
];

test.each(failures)(
  'a function that %s ends each call with token_failed',
  async (_how, token, message) => {
    seen.length = 0;
    const failing = device({ token: token as () => string });
    for (const call of callsOf(failing)) {
      await expect(call()).rejects.toMatchObject({
        name: 'CoupletError',
        code: 'token_failed',
        message,
        cause: expect.any(Error),
      });
    }
    expect(seen).toEqual([]);
  },
);

test('a token that the server refuses ends each call with unauthorized', async () => {
  const refused = device({ token: 'refused' });
  for (const call of callsOf(refused)) {
    await expect(call()).rejects.toMatchObject({ name: 'CoupletError', code: 'unauthorized' });
  }
});

test('a session that was in its room survives failing and refused tokens', async () => {
  const tokens: (() => Promise<string>)[] = [];
  const { sockets, Kept } = keptSockets();
  const good = async () => 'static.token';
  const token = () => (tokens.shift() ?? good)();
  const [host] = await pairSessions(
    device({ token, WebSocket: Kept }),
    device({ token: 'static.token' }),
  );
  tokens.push(
    () => Promise.reject(new Error('offline')),
    async () => 'refused',
  );
  const ready = reaches(host, 'ready');
  sockets.at(-1)?.close(4000);
  await ready;
  expect(tokens).toEqual([]);
  expect(host.state).toBe('connected');
});

test('while the function has not answered, a call can be aborted and a session closed', async () => {
  const token = () => new Promise<string>(() => {});
  const abort = new AbortController();
  const { signal } = abort;
  const waiting = device({ token });
  let resumed: PeerSession | undefined;
  const onSession = (session: PeerSession) => {
    resumed = session;
  };
  const calls: Promise<unknown>[] = [
    waiting.invite({ signal }),
    waiting.accept('042137', { signal }),
    waiting.resume(saved, { signal, onSession }),
  ];
  onTestFinished(() => resumed?.close());
  abort.abort();
  await Promise.all(calls.map((call) => expect(call).rejects.toMatchObject({ code: 'aborted' })));
  expect(resumed?.state).toBe('closed');
});
