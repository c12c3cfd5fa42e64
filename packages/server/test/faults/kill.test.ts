// kill -9 under pairing load (docs/protocol.md §10). The default is eight rounds; COUPLET_KILL_ROUNDS sets another number.
import { join } from 'node:path';
import { call, someCode, someDevice } from '@couplet/testkit/api';
import { startChild } from '@couplet/testkit/child-server';
import { temporaryFolder } from '@couplet/testkit/server';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect, test } from 'vitest';
import { rows } from '../support/sqlite-files.js';

const ROUNDS = Number(process.env.COUPLET_KILL_ROUNDS ?? 8);
const WORKERS = 8;
const folder = temporaryFolder();

interface Step {
  path: string;
  body: Record<string, unknown>;
  key: string;
  /** The answer; undefined if the server was killed first. */
  answer?: { status: number; body: Record<string, unknown> | undefined };
}

/** The pairing steps that were begun for one code, in order. */
interface Pairing {
  joinid: string;
  client1: string;
  client2: string;
  steps: Step[];
}

type PendingRow = Record<'client1' | 'client2' | 'exp' | 'roomid', string | null>;

const send = async (url: string, { path, body, key }: Step) => {
  const { status, body: answer } = await call(url, 'POST', path, body, { 'idempotency-key': key });
  return { status, body: answer };
};

/** Pairs devices, some of them only partly, until the server is killed. */
async function work(url: string, journal: Pairing[]): Promise<void> {
  for (let n = 0; ; n++) {
    const [joinid, client1, client2] = [someCode(), someDevice(), someDevice()];
    const pairing: Pairing = { joinid, client1, client2, steps: [] };
    journal.push(pairing);
    const steps = [
      { path: '/api/rooms', body: { joinid, client1, expiresInSeconds: 86_400 } },
      { path: '/api/rooms/accept', body: { joinid, client2 } },
      { path: '/api/rooms/check', body: { joinid, client1 } },
      { path: '/api/user/purge', body: { deviceIds: [client1] } },
    ].slice(0, (n % 4) + 1);
    for (const request of steps) {
      const step: Step = { ...request, key: someDevice() };
      pairing.steps.push(step);
      try {
        step.answer = await send(url, step);
      } catch {
        // The server was killed. Only the file shows whether this step was done.
        return;
      }
    }
  }
}

/** Compares the file with the answers. */
function compare(path: string, journal: readonly Pairing[]): void {
  const db = new DatabaseSync(path, { readOnly: true });
  const pendingOf = db.prepare('SELECT * FROM pendings WHERE joinid = ?');
  const roomsOf = db.prepare('SELECT roomid FROM rooms WHERE client1 = ? AND client2 = ?');
  for (const { joinid, client1, client2, steps } of journal) {
    const [create, accept, check, purge] = steps;
    const pending: PendingRow | undefined = pendingOf.get(joinid);
    const rooms = roomsOf.all(client1, client2).map(({ roomid }) => roomid);
    // No pairing is half-written: the room and its id in the pending exist together or not at all.
    expect(rooms.length).toBeLessThanOrEqual(1);
    if (pending !== undefined) {
      expect(pending.client1).toBe(client1);
      expect(pending.client2).toBe(rooms.length === 1 ? client2 : null);
      expect(pending.roomid).toBe(rooms[0] ?? null);
    }
    // No answered write is lost.
    if (create?.answer && !check) expect(pending).toBeDefined();
    if (create?.answer && !accept) expect(pending?.exp).toBe(create.answer.body?.exp);
    if (accept?.answer && !purge) expect(rooms).toEqual([accept.answer.body?.roomid]);
    if (purge?.answer) expect(rooms).toEqual([]);
    if (check?.answer) expect(pending).toBeUndefined();
    if (pending === undefined && rooms.length === 1) expect(check).toBeDefined();
  }
  db.close();
}

/** Runs a server on one file, kills it under load and restarts it, for `rounds` rounds. */
async function killAgainAndAgain(file: string, rounds: number) {
  const env = { SQLITE_DB_PATH: file, MAX_PENDINGS_PER_ADDRESS: '10000000' };
  const all: Pairing[] = [];
  let journal: Pairing[] = [];
  for (let round = 0; round <= rounds; round++) {
    const server = await startChild(env);
    compare(file, journal);
    all.push(...journal);
    await repeat(server.url, journal);
    compare(file, journal);
    if (round === rounds) break;
    journal = [];
    const workers = Promise.all(Array.from({ length: WORKERS }, () => work(server.url, journal)));
    // Load for 50–200 ms, so that the kill happens at any point, also during a commit.
    setTimeout(() => server.signal('SIGKILL'), 50 + Math.random() * 150);
    await Promise.all([workers, server.exited]);
    for (const { steps } of journal) {
      for (const { answer } of steps) counts[answer === undefined ? 'cutOff' : 'answered'] += 1;
    }
  }
  compare(file, all);
  expect(rows(file, 'PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }]);
}

const counts = { answered: 0, cutOff: 0 };

/** Repeats the requests that were cut off, and as many answered ones, like clients that lost the answers. */
async function repeat(url: string, journal: readonly Pairing[]): Promise<void> {
  const isCutOff = ({ steps }: Pairing) => steps.at(-1)?.answer === undefined;
  const whole = journal.filter((pairing) => !isCutOff(pairing)).slice(-WORKERS);
  const repeated = [...journal.filter(isCutOff), ...whole];
  await Promise.all(
    repeated.map(async ({ steps }) => {
      for (const step of steps) {
        const again = await send(url, step);
        if (step.answer) expect(again).toStrictEqual(step.answer);
        step.answer = again;
        expect(await send(url, step)).toStrictEqual(again);
      }
      const statuses = steps.map(({ answer }) => answer?.status);
      expect(statuses).toEqual([201, 200, 200, 200].slice(0, steps.length));
    }),
  );
}

test(
  `of ${ROUNDS} kills under load, none loses an answered write, halves a pairing or forgets an Idempotency-Key`,
  async ({ annotate }) => {
    // Two in parallel, because most of a round is the start of a process.
    const half = Math.ceil(ROUNDS / 2);
    await Promise.all([
      killAgainAndAgain(join(folder, 'one.db'), half),
      killAgainAndAgain(join(folder, 'two.db'), ROUNDS - half),
    ]);
    await annotate(
      `kill -9: ${ROUNDS} rounds, ${counts.answered} steps answered, ${counts.cutOff} cut off`,
    );
    // Otherwise the kills did not happen under load.
    expect(counts.cutOff).toBeGreaterThan(ROUNDS);
  },
  ROUNDS * 60_000,
);
