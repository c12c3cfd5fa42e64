// The sweep runs at the start and every minute, also after a failure.

import { call, createPending, pairDevices } from '@couplet/testkit/api';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { serverForTest, startServer, temporaryFolder } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import type { Logger } from '../../src/observability/logger.js';
import type { PairingStore } from '../../src/pairing/store.js';
import { startSweep } from '../../src/pairing/sweep.js';
import { rows } from '../support/sqlite-files.js';

test('a sweep runs at the start and every minute until it is stopped, also after a failure, and logs counts', async () => {
  const clock = new FakeClock();
  const start = clock.now();
  const times: number[] = [];
  const failure = new Error('locked');
  const sweep: PairingStore['sweep'] = async (now) => {
    if (times.push(now) === 1) throw failure;
    return times.length === 2 ? { pendings: 2, rooms: 1 } : { pendings: 0, rooms: 0 };
  };
  const lines: unknown[][] = [];
  const write = (...line: unknown[]) => lines.push(line);
  const log = { info: write, warn: write } as unknown as Logger;
  const stop = startSweep({ sweep } as PairingStore, clock, log);
  const failed = [{ err: failure }, 'sweep failed'];
  await expect.poll(() => lines).toEqual([failed]);
  clock.advance(120_000);
  const swept = [{ pendings: 2, rooms: 1 }, 'expired rows deleted'];
  await expect.poll(() => lines).toEqual([failed, swept]);
  stop();
  clock.advance(120_000);
  expect(times).toEqual([start, start + 60_000, start + 120_000]);
  expect(clock.pending).toBe(0);
});

test('in the running server, an expired pending is deleted without any request', async () => {
  const clock = new FakeClock();
  const path = `${temporaryFolder()}/chat.db`;
  const server = await serverForTest({ SQLITE_DB_PATH: path }, { clock });
  await createPending(server.url, { expiresInSeconds: 30 });
  await createPending(server.url, { expiresInSeconds: 90 });
  clock.advance(60_000);
  await expect.poll(() => rows(path, 'SELECT * FROM pendings')).toHaveLength(1);
});

test('ROOM_IDLE_DAYS deletes unused rooms; without it they stay', async () => {
  const day = 24 * 3600 * 1000;
  for (const [days, status] of [
    ['', 200],
    ['2', 404],
  ] as const) {
    const clock = new FakeClock();
    const server = await startServer({ ROOM_IDLE_DAYS: days }, { clock });
    onTestFinished(() => server.close());
    const idle = await pairDevices(server.url);
    const used = await pairDevices(server.url);
    clock.advance(1.5 * day);
    await call(server.url, 'GET', `/api/rooms?roomid=${used.roomid}`);
    clock.advance(day);
    const get = (roomid: string) => call(server.url, 'GET', `/api/rooms?roomid=${roomid}`);
    expect((await get(idle.roomid)).status).toBe(status);
    expect((await get(used.roomid)).status).toBe(200);
  }
});
