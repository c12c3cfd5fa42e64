// The log never identifies a pairing: runs a full session with many faults, then searches the log.

import { call } from '@couplet/testkit/api';
import { Peer } from '@couplet/testkit/peer';
import { startServer } from '@couplet/testkit/server';
import { describe, expect, onTestFinished, test } from 'vitest';
import { captureLog } from '../support/captured-log.js';
import { runFullSession, SESSION_ENV, Secrets } from '../support/full-session.js';
import { brokenStore } from '../support/stores.js';

/** Runs a full session and returns the complete log of the server. */
async function loggedSession(terminal = false) {
  const captured = captureLog(terminal);
  const server = await startServer(SESSION_ENV, { log: captured.log });
  const secrets = await runFullSession(server).finally(() => server.close());
  return { captured, secrets };
}

let shared: ReturnType<typeof loggedSession> | undefined;
/** One session for all tests that read its log as JSON. */
const session = () => (shared ??= loggedSession());

test('no id, code, SDP line, candidate, key or token of a full session is in the log', async () => {
  const { captured, secrets } = await session();
  // The digits of a timestamp could match a code.
  const searched = captured.lines().map(({ time, ...line }) => JSON.stringify(line));
  expect(searched.length).toBeGreaterThan(30);
  expect(secrets.foundIn(searched.join('\n'))).toEqual([]);
});

test('the search finds values that are in a text', async () => {
  const { secrets } = await session();
  for (const text of ['{"url":"/api/rooms?roomid=730519"}', 'candidate:0 1 udp 2122260223 …']) {
    expect(secrets.foundIn(text)).toHaveLength(1);
  }
});

test('every request has one log line with its own id, at level info if it failed or is a health check', async () => {
  const { captured } = await session();
  const requests = captured.lines().filter(({ route }) => route !== undefined);
  const ids = requests.map(({ reqId }) => reqId);
  expect(ids.every((id) => typeof id === 'string' && id !== '')).toBe(true);
  expect(new Set(ids).size).toBe(ids.length);
  for (const line of requests) {
    expect(line).toEqual({
      level: Number(line.status) < 400 && line.route !== '/' ? 20 : 30,
      time: expect.any(Number),
      reqId: expect.any(String),
      method: expect.stringMatching(/^[A-Z]+$/),
      route: expect.stringMatching(/^(none|\/[a-z/.-]*)$/),
      status: expect.any(Number),
      ms: expect.any(Number),
      msg: expect.stringMatching(/^(request|Health check)$/),
    });
  }
});

test('every step of a connection is one line', async () => {
  const { captured } = await session();
  const lives = new Map<unknown, string[]>();
  for (const { conn, msg } of captured.lines()) {
    if (conn !== undefined) lives.set(conn, [...(lives.get(conn) ?? []), msg]);
  }
  expect([...lives.values()]).toEqual([
    ['connected', 'room joined', 'disconnected'],
    ['connected', 'room joined', 'disconnected'],
    ['connected', 'join refused', 'room joined', 'room left', 'disconnected'],
    ['connected', 'room joined', 'socket error', 'disconnected'],
  ]);
});

test('on a terminal, the log is readable text and identifies no pairing', async () => {
  const { captured, secrets } = await loggedSession(true);
  expect(captured.text()).not.toMatch(/^\{/m);
  expect(captured.text()).toContain('reqId');
  expect(secrets.foundIn(captured.text())).toEqual([]);
});

describe('a bug in the server', () => {
  test.each([
    ['a parser that quotes its input', (id: string) => parserError(`[\n${id}]`)],
    [
      'a cause that quotes its input',
      (id: string) => new Error('failed', { cause: parserError(`[\n${id}]`) }),
    ],
  ])('is logged without its input: %s', async (_name, failure) => {
    const captured = captureLog();
    const secrets = new Secrets();
    const id = secrets.keep('client1', 'DEV-4711');
    const broken = await startServer(
      {},
      { log: captured.log, store: brokenStore(() => failure(id)) },
    );
    onTestFinished(() => broken.close());
    const body = { joinid: '730519', expiresInSeconds: 300, client1: id };
    expect(await call(broken.url, 'POST', '/api/rooms', body)).toMatchObject({
      status: 500,
      body: { error: 'internal_error' },
    });
    const peer = await Peer.connect(broken.wsUrl);
    peer.send({ type: 'join_room', roomId: 'a-room', deviceId: id });
    expect((await peer.closed).code).toBe(1011);
    expect(captured.lines().map(({ msg }) => msg)).toEqual(
      expect.arrayContaining(['request failed', 'message failed', 'sweep failed']),
    );
    expect(secrets.foundIn(captured.text())).toEqual([]);
  });
});

function parserError(text: string): Error {
  try {
    return new Error(`no error in ${JSON.parse(text)}`);
  } catch (error) {
    return error as Error;
  }
}
