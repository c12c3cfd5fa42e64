// Requests that bypass Fastify. Answers, log and metrics are the same as through Fastify.
import { expect, onTestFinished, test } from 'vitest';
import { buildApp } from '../../src/app.js';
import { Metrics } from '../../src/observability/metrics.js';
import { parseConfig } from '../../src/settings/config.js';
import { captureLog } from '../support/captured-log.js';
import { type RequestHeaders, rawRequest, request } from '../support/raw-http.js';

const CREATE = '{"joinid":"123456","client1":"a","expiresInSeconds":60}';
const CHECK = '{"joinid":"123456","client1":"a"}';
const ACCEPT = '{"joinid":"123456","client2":"b"}';
const KEY = { 'idempotency-key': 'k' };
const origin = (name: string) => ({ origin: `https://${name}.example.org` });

/** Path, headers, body, status, and whether the request bypasses Fastify. */
const REQUESTS: [string, RequestHeaders, string, number, boolean][] = [
  ['/api/rooms', origin('app'), CREATE, 201, true],
  ['/api/rooms', origin('other'), CREATE.replace('"a"', '"c"'), 409, true],
  ['/api/rooms', {}, '{"joinid":"123456","client1":"a","expiresInSeconds":0}', 400, true],
  ['/api/rooms', {}, '{}', 400, true],
  ['/api/rooms', {}, '[]', 400, true],
  ['/api/rooms', {}, '{"joinid":', 400, true],
  ['/api/rooms', {}, '"\xff"', 400, true],
  ['/api/rooms', {}, '['.repeat(33), 400, true],
  ['/api/rooms', { 'idempotency-key': 'k'.repeat(300) }, CREATE, 400, true],
  ['/api/rooms/check', {}, CHECK, 204, true],
  ['/api/rooms/check', { prefer: 'wait=0' }, CHECK, 204, true],
  ['/api/rooms/accept', {}, ACCEPT.replace('"b"', '"a"'), 400, true],
  ['/api/rooms/accept', KEY, ACCEPT, 200, true],
  ['/api/rooms/accept', KEY, ACCEPT, 200, true],
  ['/api/rooms/accept', KEY, ACCEPT.replace('"b"', '"c"'), 422, true],
  ['/api/rooms/check', { prefer: 'wait=20' }, CHECK, 200, true],
  ['/api/rooms/check', {}, CHECK, 404, true],
  ['/api/rooms/accept', {}, ACCEPT.replace('1', '2'), 404, true],
  ['/api/rooms', {}, '', 400, false],
  ['/api/rooms', {}, ' '.repeat(70_000), 413, false],
  ['/api/rooms', { 'content-encoding': 'gzip' }, CREATE, 415, false],
  ['/api/rooms?a', {}, CREATE, 201, false],
  ['/%61pi/rooms', {}, CREATE, 201, false],
  ['/api/rooms/none', {}, CREATE, 404, false],
];

/** Runs all requests, in sequence, against a server whose Fastify marks its answers. */
async function answersOf(direct: boolean) {
  const { log, lines } = captureLog();
  const metrics = new Metrics();
  const config = { USE_SQLITE: '1', SQLITE_DB_PATH: ':memory:' };
  const allowed = { ALLOWED_ORIGINS: 'https://app.example.org' };
  const app = await buildApp(parseConfig({ ...config, ...allowed }), { log, metrics, direct });
  onTestFinished(() => app.close());
  app.addHook('onRequest', async (_request, reply) => void reply.header('x-fastify', '1'));
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  const answers = [];
  for (const [path, headers, body] of REQUESTS) {
    answers.push(await rawRequest(url, request(`POST ${path}`, headers, body)));
  }
  await expect.poll(() => lines().filter(({ route }) => route)).toHaveLength(REQUESTS.length);
  return {
    bypassed: answers.map(({ headers }) => !headers.delete('x-fastify')),
    statuses: answers.map(({ status }) => status),
    answers: answers.map(({ headers, body }) => [
      Object.fromEntries(headers.set('date', '').set('x-request-id', '')),
      body.replace(/"(secret|exp|roomid)":"[^"]*"/g, '"$1"'),
    ]),
    lines: lines()
      .filter(({ route }) => route)
      .map(({ time, ms, reqId, ...line }) => [line, typeof ms, typeof reqId]),
    counts: (await metrics.text()).match(/^couplet_(http_requests_total|store_d.*count).*/gm),
  };
}

test('answers, log and metrics are the same as with Fastify', async () => {
  const { bypassed, ...bypassing } = await answersOf(true);
  const { bypassed: none, ...fastify } = await answersOf(false);
  expect(fastify.statuses).toEqual(REQUESTS.map(([, , , status]) => status));
  expect(bypassing).toEqual(fastify);
  expect(bypassed).toEqual(REQUESTS.map(([, , , , bypass]) => bypass));
  expect(none).not.toContain(true);
});
