// A full disk, on a small file system that the test mounts: writes are answered 503, and everything else continues.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { call, createPending, pairDevices, someCode, someDevice } from '@couplet/testkit/api';
import { startChild } from '@couplet/testkit/child-server';
import { eventually } from '@couplet/testkit/eventually';
import { pairOfPeers } from '@couplet/testkit/peer';
import { describe, expect, onTestFinished, test } from 'vitest';
import { rows } from '../support/sqlite-files.js';

/** Mounts a file system of 1 MiB; undefined if this process may not mount. */
function smallDisk(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'couplet-disk-'));
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder]);
  if (status === 0) return folder;
  rmSync(folder, { recursive: true });
  return undefined;
}

function removeDisk(folder: string): void {
  execFileSync('umount', ['-l', folder]);
  rmSync(folder, { recursive: true });
}

const probe = smallDisk();
if (probe !== undefined) removeDisk(probe);

describe.skipIf(probe === undefined)('a full disk (needs permission to mount)', () => {
  test('makes writes fail with 503, allows reads and signaling, recovers when space is free, and leaves nothing half-written', async () => {
    const disk = smallDisk() as string;
    onTestFinished(() => removeDisk(disk));
    const file = join(disk, 'chat.db');
    const { url, wsUrl, metric } = await startChild({ SQLITE_DB_PATH: file });
    const room = await pairDevices(url);
    const waiting = await createPending(url);
    const accepted = await createPending(url);
    const accept = { joinid: accepted.joinid, client2: someDevice() };
    const { body } = await call(url, 'POST', '/api/rooms/accept', accept);
    const [first, second] = await pairOfPeers(wsUrl, 'across the fault');
    const ready = async () => (await call(url, 'GET', '/readyz')).status;
    await eventually(async () => expect(await ready()).toBe(200));

    const ballast = join(disk, 'ballast');
    expect(() => writeFileSync(ballast, Buffer.alloc(2_000_000))).toThrow('ENOSPC');

    const fresh = { joinid: someCode(), client1: someDevice(), expiresInSeconds: 60 };
    const late = { joinid: waiting.joinid, client2: someDevice() };
    const writes: [string, string, object][] = [
      ['POST', '/api/rooms', fresh],
      ['POST', '/api/rooms/accept', late],
      ['POST', '/api/rooms/check', { joinid: accepted.joinid, client1: accepted.client1 }],
      ['DELETE', '/api/rooms', { roomid: room.roomid }],
      ['POST', '/api/user/purge', { deviceId: room.client1 }],
    ];
    // Several times, each with an Idempotency-Key: a failed transaction must neither leave a trace nor let the next one succeed.
    for (let n = 0; n < 20; n++) {
      for (const [method, path, request] of writes) {
        const headers = { 'idempotency-key': `${method} ${path}` };
        const answer = await call(url, method, path, request, headers);
        expect([path, answer.status, answer.body?.error]).toEqual([path, 503, 'unavailable']);
        expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
      }
    }
    await eventually(async () => expect(await ready()).toBe(503));
    expect((await call(url, 'GET', '/healthz')).status).toBe(200);
    const { roomid, client1, client2 } = room;
    const read = await call(url, 'GET', `/api/rooms?roomid=${roomid}`);
    expect([read.status, read.body]).toStrictEqual([200, { roomid, client1, client2 }]);
    const check = { joinid: waiting.joinid, client1: waiting.client1 };
    expect((await call(url, 'POST', '/api/rooms/check', check)).status).toBe(204);
    first.send({ type: 'webrtc_offer', sdp: 'v=0' });
    expect(await second.next('webrtc_offer')).toMatchObject({ sdp: 'v=0' });
    const [third] = await pairOfPeers(wsUrl, 'made during the fault');
    await third.join(roomid, client1);

    const count = (table: string) => rows(file, `SELECT * FROM ${table}`).length;
    expect([count('rooms'), count('pendings'), count('idempotency')]).toEqual([2, 2, 0]);
    expect(await metric('couplet_rooms')).toBe(2);
    expect(await metric('couplet_idempotency_records')).toBe(0);

    rmSync(ballast);
    expect((await call(url, 'POST', '/api/rooms', fresh)).status).toBe(201);
    await eventually(async () => expect(await ready()).toBe(200));
    const collected = { joinid: accepted.joinid, client1: accepted.client1 };
    expect((await call(url, 'POST', '/api/rooms/check', collected)).body).toStrictEqual({
      roomid: body?.roomid,
    });
    expect((await call(url, 'POST', '/api/rooms/accept', late)).status).toBe(200);
    expect(await metric('couplet_rooms')).toBe(count('rooms'));
    expect(rows(file, 'PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }]);
  });
});
