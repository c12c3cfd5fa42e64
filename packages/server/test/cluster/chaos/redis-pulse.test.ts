// The watch of a server of Redis: when it calls an answer late.
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '@couplet/testkit/eventually';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { watchPulse } from './redis-pulse.js';

/** One tick of the watch. */
const TICK_MS = 100;

let asked: Socket[];
let stalls: number[];
let pulse: ReturnType<typeof watchPulse>;

/** Time passes by the hand of the test, but for what sockets take. */
const pass = (ms: number) => {
  for (let passed = 0; passed < ms; passed += TICK_MS) vi.advanceTimersByTime(TICK_MS);
};

/** Resolves when so many questions have come; time stands still while one is on its way. */
async function untilAsked(count: number): Promise<void> {
  while (asked.length < count) {
    // It may have to connect first.
    await delay(20);
    pass(TICK_MS);
    for (let looks = 0; looks < 50 && asked.length < count; looks++) await delay(20);
  }
}

beforeEach(async () => {
  asked = [];
  stalls = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', () => void asked.push(socket));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  const { port } = server.address() as { port: number };
  pulse = watchPulse(port, (ms: number) => void stalls.push(Math.round(ms)));
  onTestFinished(() => {
    pulse.end();
    vi.useRealTimers();
    server.close();
  });
  await untilAsked(1);
});

const answer = (question: number) => asked[question]?.write('+PONG\r\n');

test('an answer at once is none', async () => {
  answer(0);
  await pulse.answered;
  expect(stalls).toEqual([]);
});

test('a late answer is one, as long as it took', async () => {
  pass(1500);
  answer(0);
  await eventually(() => expect(stalls).toHaveLength(1));
  expect(stalls[0]).toBeGreaterThanOrEqual(1500);
});

test('an answer that had not come when the server was gone is one', async () => {
  pass(1500);
  asked[0]?.destroy();
  await eventually(() => expect(stalls).toHaveLength(1));
});

test('a server that was ended, and is there again, is none', async () => {
  asked[0]?.destroy();
  await untilAsked(2);
  answer(1);
  await pulse.answered;
  expect(stalls).toEqual([]);
});

test('where this process was late itself, it does not say', async () => {
  const { now } = performance;
  const late = vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + 3000);
  onTestFinished(() => late.mockRestore());
  pass(TICK_MS);
  answer(0);
  await pulse.answered;
  expect(stalls).toEqual([]);
});
