// Requests that bypass Fastify. Answers, log and metrics are the same as through Fastify.
import { expect, onTestFinished, test } from 'vitest';
import { buildApp } from '../../src/app.js';
import { Metrics } from '../../src/observability/metrics.js';
import { parseConfig } from '../../src/settings/config.js';
import { captureLog } from '../support/captured-log.js';
import { rawRequest } from '../support/raw-http.js';

const CREATE = '{"joinid":"123456","client1":"a","expiresInSeconds":60}';
const CHECK = '{"joinid":"123456","client1":"a"}';
const ACCEPT = '{"joinid":"123456","client2":"b"}';
const KEY = 'Idempotency-Key: k\r\n';
const ORIGIN = 'Origin: https://app.example.org\r\n';

/** Path, further header lines, body, status, and whether the request bypasses Fastify. */
const REQUESTS: [path: string, headers: string, body: string, status: number, bypass: boolean][] = [
  ['/api/rooms', ORIGIN, CREATE, 201, true],
  ['/api/rooms', 'Origin: https://other.example.org\r\n', CREATE.replace('"a"', '"c"'), 409, true],
  ['/api/rooms', '', '{"joinid":"123456","client1":"a","expiresInSeconds":0}', 400, true],
  ['/api/rooms', '', '{}', 400, true],
  ['/api/rooms', '', '[]', 400, true],
  ['/api/rooms', '', '{"joinid":', 400, true],
  ['/api/rooms', '', '"\xff"', 400, true],
  ['/api/rooms', '', '['.repeat(33), 400, true],
  ['/api/rooms', `Idempotency-Key: ${'k'.repeat(300)}\r\n`, CREATE, 400, true],
  ['/api/rooms/check', '', CHECK, 204, true],
  ['/api/rooms/check', 'Prefer: wait=0\r\n', CHECK, 204, true],
  ['/api/rooms/accept', '', ACCEPT.replace('"b"', '"a"'), 400, true],
  ['/api/rooms/accept', KEY, ACCEPT, 200, true],
  ['/api/rooms/accept', KEY, ACCEPT, 200, true],
  ['/api/rooms/accept', KEY, ACCEPT.replace('"b"', '"c"'), 422, true],
  ['/api/rooms/check', 'Prefer: wait=20\r\n', CHECK, 200, true],
  ['/api/rooms/check', '', CHECK, 404, true],
  ['/api/rooms/accept', '', ACCEPT.replace('1', '2'), 404, true],
  ['/api/rooms', '', '', 400, false],
  ['/api/rooms', '', ' '.repeat(70_000), 413, false],
  ['/api/rooms', 'Content-Encoding: gzip\r\n', CREATE, 415, false],
  ['/api/rooms?a', '', CREATE, 201, false],
  ['/%61pi/rooms', '', CREATE, 201, false],
  ['/api/rooms/none', '', CREATE, 404, false],
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
    const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n`;
    const bytes = `${head}${headers}Content-Length: ${body.length}\r\n\r\n${body}`;
    answers.push(await rawRequest(url, bytes));
  }
  await expect.poll(() => lines().filter(({ route }) => route)).toHaveLength(REQUESTS.length);
  return {
    bypassed: answers.map(({ head }) => !head.includes('x-fastify')),
    statuses: answers.map(({ status }) => status),
    answers: answers.map(({ head, body }) => ({
      head: head
        .replace(/\r\n(date|x-request-id|x-fastify): [^\r]*/g, '')
        .split('\r\n')
        .sort(),
      body: body.replace(/"(secret|exp|roomid)":"[^"]*"/g, '"$1"'),
    })),
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
