// Sends the same hostile input against the default limits: they answer as documented and do not affect the healthy pair.

import { Peer, type Received } from '@couplet/testkit/peer';
import { afterAll, expect, test } from 'vitest';
import { FUZZ_SECONDS, fuzz } from './budget.js';
import { startFuzzedServer } from './fuzzed-server.js';
import { judgeServerMessage } from './message-property.js';
import { readAnswers } from './raw-answers.js';
import { RawSocket } from './raw-socket.js';
import { restCases } from './rest-arbitrary.js';
import { hangUp, judgeRest } from './rest-property.js';

const server = await startFuzzedServer();
afterAll(async () => {
  hangUp();
  await server.stop();
});
const timeout = FUZZ_SECONDS * 1000 + 120_000;

test('an address that keeps guessing gets 429 with Retry-After', { timeout }, async () => {
  let limited = 0;
  // A busy machine does not get through enough cases in one share of the time.
  for (let round = 0; limited === 0 && round < 10; round++) {
    await fuzz(restCases, 0.1, async (cases) => {
      const codes = cases.map((one) => judgeRest(server.url, one, { limited: true }));
      limited += (await Promise.all(codes)).filter((code) => code === 'rate_limited').length;
    });
  }
  expect(limited).toBeGreaterThan(0);
});

test('a client that keeps sending is warned by rate_limited, then closed with 1008', async () => {
  const peer = await Peer.open(server.wsUrl);
  for (let n = 0; n < 2000; n++) peer.send({ type: n % 2 === 0 ? 'ping' : 'nonsense' });
  const { code } = await peer.closed;
  expect(code).toBe(1008);
  const messages: Received[] = [];
  // Data from before the close is still read; then there is no more.
  for (;;) {
    const message = await peer.next().catch(() => undefined);
    if (message === undefined) break;
    judgeServerMessage(message);
    messages.push(message);
  }
  expect(messages.filter((message) => message.code === 'rate_limited')).toHaveLength(1);
});

test('one address with too many connections gets 503, or 429 once its budget is used up', async () => {
  const sockets = Array.from({ length: 510 }, () => new RawSocket(server.port));
  try {
    const statuses = await Promise.all(sockets.map(statusOf));
    const refused = statuses.filter((status) => status !== 101);
    // The two connections of the healthy pair, and those of the flood before, are from this address, too.
    expect(refused.length).toBeGreaterThanOrEqual(12);
    expect(refused.filter((status) => status !== 429 && status !== 503)).toEqual([]);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
});

test('the pair lost no message, and the server logged no error', async () => {
  const { fault, worstMs } = await server.neighbors();
  process.stdout.write(
    `fuzz: neighbors under default limits: the slowest ${worstMs.toFixed(1)} ms\n`,
  );
  expect(fault).toBeUndefined();
  expect(server.complaints()).toBe('');
});

async function statusOf(raw: RawSocket): Promise<number> {
  await raw.write(
    Buffer.from(
      'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    ),
  );
  await raw.until((received) => received.includes('"connected"'));
  const [answer] = readAnswers(raw.received, () => false);
  if (answer?.status === 429 && !answer.headers.has('retry-after')) throw new Error('when?');
  return answer?.status ?? 0;
}
