// Tests sendFile and receiveFiles in two browsers: a file survives the loss of the server and of the connection.
import { join } from 'node:path';
import { startCommand } from '@couplet/testkit/command';
import { describeWith } from '@couplet/testkit/components';
import { freePort } from '@couplet/testkit/coturn';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import type { CoupletError, IncomingFile } from '../../src/index.js';
import { type ClientPage, deviceOpener, inPage, pair, stateOf } from '../support/client-page.js';

const FILE_BYTES = 40_000_000;

/** Most bytes that the sender is ahead of the reader, and most that are buffered (README). */
const AHEAD_BYTES = 4 * 1024 * 1024;

/** Maximum number of buffered bytes when `drained` resolves (README). */
const DRAINED_BYTES = 1024 * 1024;

interface FilePage extends ClientPage {
  /** Bytes sent on each channel of the file. */
  sentBytes: number[];
  sent: Promise<string>;
  file: IncomingFile;
  reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  readBytes: number;
}

const run = <Result, Argument = undefined>(
  device: Parameters<typeof inPage>[0],
  step: (page: FilePage, argument: Argument) => Result | Promise<Result>,
  ...rest: Argument extends undefined ? [] : [Argument]
) => inPage<Result, Argument>(device, step as never, ...rest);

describeWith(['chromium'], 'a file between two browsers', () => {
  const folder = temporaryFolder();
  const open = deviceOpener();
  const start = (env: Record<string, string> = {}) =>
    startCommand(['serve', '--sqlite'], {
      cwd: folder,
      env: { SQLITE_DB_PATH: join(folder, 'chat.db'), ...env },
    });

  test('continues without the server, and after a new connection where it was interrupted', async () => {
    // A port that no other process gets while the server is down.
    const env = { PORT: String(await freePort()) };
    const server = start(env);
    const url = await server.listening;
    const [host, guest] = [await open(), await open()];
    await pair(url, host, guest);
    await run(guest, receive);
    const sum = await run(host, send, FILE_BYTES);
    await run(guest, readUpTo, 5_000_000);

    server.child.kill('SIGKILL');
    await server.ended;
    await run(guest, readUpTo, 15_000_000);
    const [first = 0] = await run(host, ({ sentBytes }) => sentBytes);
    const read = await run(guest, ({ readBytes }) => readBytes);
    expect(first).toBeLessThanOrEqual(read + AHEAD_BYTES);

    // Without a server, a closed channel is lost for good.
    await run(host, ({ session }) => session.channel?.close());
    for (const device of [host, guest]) {
      await expect.poll(() => stateOf(device)).toBe('reconnecting');
    }
    await start(env).listening;
    for (const device of [host, guest]) {
      const hasNew = ({ session, first }: FilePage) =>
        session.state === 'connected' && session.peer !== first;
      await expect.poll(() => run(device, hasNew)).toBe(true);
    }
    await run(guest, readUpTo, FILE_BYTES);
    expect(await run(host, ({ sent }) => sent)).toBe(sum);
    expect(await run(guest, ({ file }) => file.sha256)).toBe(sum);

    const all = await run(host, ({ sentBytes }) => sentBytes);
    expect(all.length).toBeGreaterThan(1);
    // What the guest had is not sent again; what was in transit is.
    const total = all.reduce((sum, bytes) => sum + bytes);
    expect(total).toBeGreaterThanOrEqual(FILE_BYTES);
    expect(total).toBeLessThanOrEqual(FILE_BYTES + AHEAD_BYTES);
  });

  test('100 messages that wait for `drained` arrive in order, and the channel never buffers more than the limit', async () => {
    const url = await start().listening;
    const [host, guest] = [await open(), await open()];
    await pair(url, host, guest);
    const { messageBytes, mostBuffered } = await run(host, sendNumbered);
    expect(mostBuffered).toBeLessThanOrEqual(DRAINED_BYTES + messageBytes);
    expect(mostBuffered).toBeGreaterThan(DRAINED_BYTES / 2);
    const last = ({ messages }: FilePage) =>
      (messages as ArrayBuffer[]).map((message) => new Uint32Array(message).at(-1));
    const numbers = Array.from({ length: 100 }, (_, n) => n);
    await expect.poll(() => run(guest, last)).toEqual(numbers);
    expect(await run(host, refusals)).toEqual(['too_large', 'buffer_full']);
  });
});

// The functions below run in the page.

/** Sends the largest messages, each filled with its number. */
async function sendNumbered({ session }: FilePage) {
  const messageBytes = session.maxMessageBytes;
  let mostBuffered = 0;
  for (let n = 0; n < 100; n++) {
    await session.drained();
    session.send(new Uint32Array(messageBytes / 4).fill(n));
    mostBuffered = Math.max(mostBuffered, session.channel?.bufferedAmount ?? 0);
  }
  return { messageBytes, mostBuffered };
}

/** The codes for a message that is too large, and for more messages than the channel buffers. */
function refusals({ session }: FilePage): string[] {
  return [session.maxMessageBytes + 1, session.maxMessageBytes].map((bytes) => {
    try {
      for (;;) session.send(new Uint8Array(bytes));
    } catch (error) {
      return (error as CoupletError).code;
    }
  });
}

function receive(page: FilePage): void {
  page.receiveFiles(page.session, (file) => {
    const reader = file.stream().getReader();
    Object.assign(page, { file, reader, readBytes: 0 });
  });
}

/** Resolves to the SHA-256 of random bytes that it begins to send. */
async function send(page: FilePage, bytes: number): Promise<string> {
  const content = new Uint8Array(bytes);
  for (let start = 0; start < bytes; start += 65_536) {
    crypto.getRandomValues(content.subarray(start, start + 65_536));
  }
  const sums = new Map<RTCDataChannel, number>();
  const { prototype } = RTCDataChannel;
  const original = prototype.send;
  page.sentBytes = [];
  prototype.send = function (this: RTCDataChannel, data: unknown) {
    const size = (data as Uint8Array).byteLength ?? 0;
    if (this.label === 'couplet-file') sums.set(this, (sums.get(this) ?? 0) + size);
    page.sentBytes = [...sums.values()];
    original.call(this, data as never);
  } as typeof original;
  page.sent = page.sendFile(page.session, new File([content], 'random.bin'));
  page.sent.catch(() => {});
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', content));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Reads at least this many bytes, or the whole file and its end. */
async function readUpTo(page: FilePage, bytes: number): Promise<void> {
  while (!page.reader) await new Promise((resolve) => requestAnimationFrame(resolve));
  while (page.readBytes < bytes || bytes === page.file.size) {
    const { value } = await page.reader.read();
    if (!value) return;
    page.readBytes += value.length;
  }
}
