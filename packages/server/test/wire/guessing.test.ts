// Guesses of codes are limited; successful requests and the polling of a device's own pendings are not.

import { connect } from 'node:net';
import { PassThrough } from 'node:stream';
import { call, someCode, someDevice } from '@couplet/testkit/api';
import { eventually } from '@couplet/testkit/eventually';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { serverForTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import type { AppDeps } from '../../src/app.js';
import { createLogger } from '../../src/observability/logger.js';
import { ACCEPT_GUESSES, CHECK_GUESSES } from '../../src/pairing/guesses.js';

const server = async (env: Record<string, string> = {}, deps: AppDeps = {}) =>
  (await serverForTest(env, deps)).url;

const guess = (url: string, joinid: string, headers: Record<string, string> = {}) =>
  call(url, 'POST', '/api/rooms/accept', { joinid, client2: someDevice() }, headers);

const from = (address: string) => ({ 'x-forwarded-for': address });

test('guesses beyond the free ones get 429 with a growing Retry-After, never 404', async () => {
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

test('another address is not affected; an IPv6 address counts by its /64', async () => {
  const url = await server({ TRUST_PROXY: '1' }, { clock: new FakeClock() });
  for (let n = 0; n < ACCEPT_GUESSES.free + 1; n++)
    await guess(url, '000000', from(`2001:db8:1:2::${n}`));
  expect((await guess(url, '000000', from('2001:db8:1:2:ffff::1'))).status).toBe(429);
  expect((await guess(url, '000000', from('2001:db8:1:3::1'))).status).toBe(404);
  expect((await guess(url, '000000', from('192.0.2.1'))).status).toBe(404);
});

test('without TRUST_PROXY a forged X-Forwarded-For has no effect, and one log line reports that it is ignored', async () => {
  const sink = new PassThrough();
  const log = createLogger({ logLevel: 'warn', logFormat: 'json' }, sink, false);
  const url = await server({}, { log, clock: new FakeClock() });
  for (let n = 0; n < ACCEPT_GUESSES.free + 1; n++)
    await guess(url, '000000', from(`192.0.2.${n}`));
  expect((await guess(url, '000000', from('192.0.2.250'))).status).toBe(429);
  expect(String(sink.read()).match(/TRUST_PROXY/g)).toHaveLength(1);
});

test('failed checks beyond their budget get 429, which does not reveal whether a pending exists', async () => {
  const url = await server({}, { clock: new FakeClock() });
  const mine = { joinid: someCode(), client1: someDevice() };
  await call(url, 'POST', '/api/rooms', { ...mine, expiresInSeconds: 60 });
  for (let n = 0; n < CHECK_GUESSES.free + 1; n++) {
    await call(url, 'POST', '/api/rooms/check', { joinid: '000000', client1: 'd' });
  }
  for (const body of [mine, { ...mine, client1: someDevice() }]) {
    const refused = await call(url, 'POST', '/api/rooms/check', body);
    expect([refused.status, refused.body]).toEqual([429, { error: 'rate_limited' }]);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  }
});

test('a held check that ends with the expiry of its code is not a guess', async () => {
  const clock = new FakeClock();
  const url = await server({}, { clock });
  const timers = clock.pending;
  for (let n = 0; n < CHECK_GUESSES.free * 2; n += 40) {
    const mine = Array.from({ length: 40 }, () => ({ joinid: someCode(), client1: someDevice() }));
    for (const one of mine) await call(url, 'POST', '/api/rooms', { ...one, expiresInSeconds: 1 });
    const held = mine.map((one) =>
      call(url, 'POST', '/api/rooms/check', one, { prefer: 'wait=30' }),
    );
    await clock.reach(timers + mine.length);
    clock.advance(1000);
    for (const answer of held) expect((await answer).status).toBe(404);
  }
});

test('beyond MAX_FAILED_GUESSES_PER_MINUTE a failure is 429 until the next minute and never 404, an address without failures still succeeds, and the alarm metric is 1', async () => {
  const clock = new FakeClock();
  const url = await server({ MAX_FAILED_GUESSES_PER_MINUTE: '2', TRUST_PROXY: '1' }, { clock });
  clock.advance(15_000);
  expect((await guess(url, '000000', from('192.0.2.1'))).status).toBe(404);
  expect((await guess(url, '000000', from('192.0.2.2'))).status).toBe(404);
  const refused = await guess(url, '000000', from('192.0.2.3'));
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '45']);
  const joinid = someCode();
  await call(url, 'POST', '/api/rooms', { joinid, expiresInSeconds: 600, client1: 'd' });
  expect((await guess(url, joinid, from('192.0.2.1'))).status).toBe(429);
  expect((await guess(url, joinid, from('192.0.2.4'))).status).toBe(200);
  const metrics = async () => await (await fetch(`${url}/metrics`)).text();
  expect(await metrics()).toMatch(/^couplet_guess_alarm 1$/m);
  expect(await metrics()).toMatch(/^couplet_refused_guesses_total\{cause="ceiling"\} 2$/m);
  clock.advance(45_000);
  expect(await metrics()).toMatch(/^couplet_guess_alarm 0$/m);
  expect((await guess(url, '000000', from('192.0.2.3'))).status).toBe(404);
});

test('a client that does not wait for its answers still has its guesses counted', async () => {
  const url = await server({}, { clock: new FakeClock() });
  for (let n = 0; n < 3; n++) {
    const body = JSON.stringify({ joinid: '000000', client2: 'x' });
    const request = `POST /api/rooms/accept HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write(request.repeat(ACCEPT_GUESSES.free), () => socket.resetAndDestroy());
    await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  }
  await eventually(async () => expect((await guess(url, '000000')).status).toBe(429));
});

test.each([
  ['7', '0421370', '042137'],
  ['12', '042137042137', '0421370421370'],
])('with JOIN_CODE_DIGITS=%s, codes have that many digits', async (digits, right, wrong) => {
  const url = await server({ JOIN_CODE_DIGITS: digits });
  const create = (joinid: string) =>
    call(url, 'POST', '/api/rooms', { joinid, expiresInSeconds: 60, client1: 'd' });
  const details = expect.stringContaining(`exactly ${digits} ASCII digits`);
  expect((await create(wrong)).body).toMatchObject({ error: 'invalid_joinid', details });
  expect((await create(right)).status).toBe(201);
  const document = await call(url, 'GET', '/openapi.json');
  expect(JSON.stringify(document.body)).toContain(`^[0-9]{${digits}}$`);
});
