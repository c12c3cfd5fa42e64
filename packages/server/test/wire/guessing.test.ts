// Guessing codes is scarce; success and the polling of one's own pendings are not.

import { PassThrough } from 'node:stream';
import { expect, onTestFinished, test } from 'vitest';
import type { AppDeps } from '../../src/app.js';
import { ACCEPT_GUESSES, CHECK_GUESSES } from '../../src/pairing/guesses.js';
import { createLogger } from '../../src/platform/logger.js';
import { call, someCode, someDevice } from '../support/api.js';
import { FakeClock } from '../support/fake-clock.js';
import { startServer } from '../support/server.js';

async function server(env: Record<string, string> = {}, deps: AppDeps = {}): Promise<string> {
  const started = await startServer(env, deps);
  onTestFinished(() => started.close());
  return started.url;
}

const guess = (url: string, joinid: string, headers: Record<string, string> = {}) =>
  call(url, 'POST', '/api/rooms/accept', { joinid, client2: someDevice() }, headers);

const from = (address: string) => ({ 'x-forwarded-for': address });

test('guesses beyond the free ones are answered 429 with a Retry-After that grows, never 404', async () => {
  const clock = new FakeClock();
  const url = await server({}, { clock });
  for (let n = 0; n < ACCEPT_GUESSES.free + 1; n++)
    expect((await guess(url, '000000')).status).toBe(404);
  const waits: number[] = [];
  for (let n = 0; n < 4; n++) {
    const refused = await guess(url, '000000');
    expect(refused.status).toBe(429);
    expect(refused.body).toEqual({ error: 'rate_limited' });
    const seconds = Number(refused.headers.get('retry-after'));
    waits.push(seconds);
    clock.advance(seconds * 1000);
    expect((await guess(url, '000000')).status).toBe(404);
  }
  expect(waits).toEqual([1, 2, 4, 8]);
});

test('who waits is not told whether a code is right', async () => {
  const url = await server();
  const joinid = someCode();
  await call(url, 'POST', '/api/rooms', { joinid, expiresInSeconds: 60, client1: someDevice() });
  for (let n = 0; n < ACCEPT_GUESSES.free + 1; n++) await guess(url, '000000');
  expect((await guess(url, joinid)).status).toBe(429);
});

test('who makes codes to find those of others is stopped: conflicts are guesses, and creates have a quota', async () => {
  const clock = new FakeClock();
  const url = await server({ MAX_CREATES_PER_HOUR: '60' }, { clock });
  const create = (joinid: string, client1: string) =>
    call(url, 'POST', '/api/rooms', { joinid, expiresInSeconds: 60, client1 });
  expect((await create('000000', 'victim')).status).toBe(201);
  for (let n = 0; n < ACCEPT_GUESSES.free + 1; n++)
    expect((await create('000000', 'a')).status).toBe(409);
  expect((await guess(url, '000000')).status).toBe(429);
  for (let n = 0; n < 59 - ACCEPT_GUESSES.free - 1; n++) await create(someCode(), someDevice());
  const refused = await create(someCode(), someDevice());
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '60']);
  clock.advance(60_000);
  expect((await create(someCode(), someDevice())).status).toBe(201);
});

test('another address is not concerned; IPv6 counts by its /64', async () => {
  const url = await server({ TRUST_PROXY: '1' });
  for (let n = 0; n < ACCEPT_GUESSES.free + 1; n++)
    await guess(url, '000000', from(`2001:db8:1:2::${n}`));
  expect((await guess(url, '000000', from('2001:db8:1:2:ffff::1'))).status).toBe(429);
  expect((await guess(url, '000000', from('2001:db8:1:3::1'))).status).toBe(404);
  expect((await guess(url, '000000', from('192.0.2.1'))).status).toBe(404);
});

test('without TRUST_PROXY a forged X-Forwarded-For helps nobody, and the log says once that it is not believed', async () => {
  const sink = new PassThrough();
  const log = createLogger({ logLevel: 'warn', logFormat: 'json' }, sink, false);
  const url = await server({}, { log });
  for (let n = 0; n < ACCEPT_GUESSES.free + 1; n++)
    await guess(url, '000000', from(`192.0.2.${n}`));
  expect((await guess(url, '000000', from('192.0.2.250'))).status).toBe(429);
  expect(String(sink.read()).match(/TRUST_PROXY/g)).toHaveLength(1);
});

test('a success costs nothing: a busy address pairs as often as it likes', async () => {
  const url = await server();
  for (let n = 0; n < ACCEPT_GUESSES.free * 2; n++) {
    const joinid = String(n).padStart(6, '0');
    const client1 = someDevice();
    await call(url, 'POST', '/api/rooms', { joinid, expiresInSeconds: 60, client1 });
    expect((await guess(url, joinid)).status).toBe(200);
    expect((await call(url, 'POST', '/api/rooms/check', { joinid, client1 })).status).toBe(200);
  }
});

test('thirty sessions that poll check and GET every 6 seconds pass untouched, for ten minutes and behind one address', async () => {
  const clock = new FakeClock();
  const url = await server({}, { clock });
  const sessions = Array.from({ length: 30 }, (_, n) => ({
    joinid: String(n).padStart(6, '0'),
    client1: someDevice(),
  }));
  for (const session of sessions) {
    const body = { ...session, expiresInSeconds: 3600 };
    expect((await call(url, 'POST', '/api/rooms', body)).status).toBe(201);
  }
  // Half of the codes are accepted: those sessions go on asking for their room.
  const rooms: string[] = [];
  for (const { joinid, client1 } of sessions.slice(15)) {
    await guess(url, joinid);
    const checked = await call(url, 'POST', '/api/rooms/check', { joinid, client1 });
    rooms.push(checked.body?.roomid as string);
  }
  for (let round = 0; round < 100; round++) {
    clock.advance(6000);
    const answers = await Promise.all([
      ...sessions.slice(0, 15).map((session) => call(url, 'POST', '/api/rooms/check', session)),
      ...rooms.map((roomid) => call(url, 'GET', `/api/rooms?roomid=${roomid}`)),
    ]);
    const statuses = new Set(answers.map(({ status }) => status));
    expect([...statuses].sort()).toEqual([200, 204]);
  }
  // All at once have expired when the app wakes up: each is told so.
  clock.advance(3_600_000);
  for (const session of sessions) {
    expect((await call(url, 'POST', '/api/rooms/check', session)).status).toBe(404);
  }
});

test('failed checks beyond their budget are answered 429, which an app takes for "later" and not for "expired"', async () => {
  const url = await server();
  const check = () => call(url, 'POST', '/api/rooms/check', { joinid: '000000', client1: 'd' });
  for (let n = 0; n < CHECK_GUESSES.free + 1; n++) expect((await check()).status).toBe(404);
  const refused = await check();
  expect(refused.status).toBe(429);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
});

test('a pending of one’s own is told of also while one has to wait', async () => {
  const url = await server();
  const mine = { joinid: someCode(), client1: someDevice() };
  await call(url, 'POST', '/api/rooms', { ...mine, expiresInSeconds: 60 });
  for (let n = 0; n < CHECK_GUESSES.free + 2; n++) {
    await call(url, 'POST', '/api/rooms/check', { joinid: '000000', client1: 'd' });
  }
  expect((await call(url, 'POST', '/api/rooms/check', mine)).status).toBe(204);
});

test('beyond the budget of the server failures are slow and successes are not, and the alarm metric is 1', async () => {
  const clock = new FakeClock();
  const url = await server({ MAX_FAILED_GUESSES_PER_MINUTE: '1' }, { clock });
  await guess(url, '000000');
  let slow = true;
  const failing = guess(url, '000001').then((answer) => {
    slow = false;
    return answer;
  });
  const alarmed = async () => {
    const text = await (await fetch(`${url}/metrics`)).text();
    return /^couplet_guess_alarm 1$/m.test(text);
  };
  while (!(await alarmed()));
  const joinid = someCode();
  await call(url, 'POST', '/api/rooms', { joinid, expiresInSeconds: 60, client1: someDevice() });
  expect((await guess(url, joinid)).status).toBe(200);
  expect(slow).toBe(true);
  clock.advance(3000);
  expect((await failing).status).toBe(404);
});

test.each([
  ['7', '0421370', '042137'],
  ['12', '042137042137', '0421370421370'],
])('with JOIN_CODE_DIGITS=%s a code has so many digits', async (digits, right, wrong) => {
  const url = await server({ JOIN_CODE_DIGITS: digits });
  const create = (joinid: string) =>
    call(url, 'POST', '/api/rooms', { joinid, expiresInSeconds: 60, client1: 'd' });
  const details = expect.stringContaining(`exactly ${digits} ASCII digits`);
  expect((await create(wrong)).body).toMatchObject({ error: 'invalid_joinid', details });
  expect((await create(right)).status).toBe(201);
  const document = await call(url, 'GET', '/openapi.json');
  expect(JSON.stringify(document.body)).toContain(`^[0-9]{${digits}}$`);
});
