// Tests two browsers during outages of the server.
import { join } from 'node:path';
import { startCommand } from '@couplet/testkit/command';
import { describeWith } from '@couplet/testkit/components';
import { freePort } from '@couplet/testkit/coturn';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import type { PeerSession } from '../../src/index.js';
import {
  type ClientPage,
  deviceOpener,
  expectKept,
  expectTalk,
  inPage,
  pair,
  readies,
  ufragOf,
} from '../support/client-page.js';

/** State of the sender's page. */
interface Sender extends ClientPage {
  sent: number;
  sending: ReturnType<typeof setInterval>;
}

describeWith(['chromium'], 'two browsers and a server that goes away', () => {
  const folder = temporaryFolder();
  const open = deviceOpener();
  const start = (env: Record<string, string> = {}) =>
    startCommand(['serve', '--sqlite'], {
      cwd: folder,
      env: { SQLITE_DB_PATH: join(folder, 'chat.db'), ...env },
    });

  test.each(['SIGKILL', 'SIGTERM'] as const)(
    '%s and a restart of the server: no message is lost, signaling reconnects, and an ICE restart works',
    async (signal) => {
      // A port that no other process gets during the outage.
      const env = { PORT: String(await freePort()) };
      const server = start(env);
      const url = await server.listening;
      const [host, guest] = [await open(), await open()];
      await pair(url, host, guest);
      const [before, received] = [await ufragOf(host), () => inPage(guest, numbersIn)];
      await inPage(host, sendNumbers);
      await expect.poll(async () => (await received()).length).toBeGreaterThan(0);

      server.child.kill(signal);
      await server.ended;
      const beforeOutage = (await received()).length;
      await expect.poll(async () => (await received()).length).toBeGreaterThan(beforeOutage + 20);
      await start(env).listening;
      for (const device of [host, guest]) {
        await expect.poll(() => readies(device).length).toBeGreaterThan(1);
      }

      await inPage(host, ({ session }) => session.restartIce());
      await expect.poll(() => ufragOf(host)).not.toBe(before);
      const sent = await inPage(host, stopSending);
      await expect.poll(async () => (await received()).length).toBe(sent);
      expect(await received()).toEqual(Array.from({ length: sent }, (_, n) => n + 1));
      await expectTalk(host, guest);
      await expectKept(host, guest);
      for (const device of [host, guest]) {
        expect(await inPage(device, ({ states, errors }) => [states, errors])).toEqual([[], []]);
      }
    },
  );
});

// The functions below run in the page.
const sendNumbers = (window: ClientPage) => {
  const page = window as Sender;
  page.sent = 0;
  const send = ({ session }: { session: PeerSession }) => session.send(String(++page.sent));
  page.sending = setInterval(() => send(page), 10);
};
const stopSending = (window: ClientPage) => {
  const page = window as Sender;
  clearInterval(page.sending);
  return page.sent;
};
const numbersIn = ({ messages }: ClientPage) => messages.map(Number);
