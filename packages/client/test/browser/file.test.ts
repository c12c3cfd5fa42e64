// Tests a transfer of 100 MB between two browsers: complete, in order, and within the buffer limit.

import { describeWith } from '@couplet/testkit/components';
import { serverForTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { type ClientPage, deviceOpener, inPage, pair } from '../support/client-page.js';

const FILE_BYTES = 100_000_000;

/** Most bytes buffered when `drained` resolves (README). */
const DRAINED_BYTES = 1024 * 1024;

interface FilePage extends ClientPage {
  received: Promise<{ bytes: number; hash: string; inOrder: boolean; at: number }>;
}

describeWith(['chromium'], 'a file of 100 MB', () => {
  const open = deviceOpener();

  test('arrives complete and in order, and the channel never buffers more than the limit', async ({
    annotate,
  }) => {
    const { url } = await serverForTest();
    const [host, guest] = [await open(), await open()];
    await pair(url, host, guest);
    await inPage(guest, receiveFile, FILE_BYTES);
    const sent = await inPage(host, sendFile, FILE_BYTES);
    const received = await guest.page.evaluate<Awaited<FilePage['received']>>('received');
    const seconds = (received.at - sent.at) / 1000;
    await annotate(
      `100 MB in ${seconds.toFixed(1)} s, ${(FILE_BYTES / 1e6 / seconds).toFixed(1)} MB/s, ` +
        `in messages of ${sent.messageBytes} bytes; at most ${sent.mostBuffered} bytes waited`,
    );
    expect(received).toMatchObject({ bytes: FILE_BYTES, hash: sent.hash, inOrder: true });
    expect(sent.mostBuffered).toBeLessThanOrEqual(DRAINED_BYTES + sent.messageBytes);
    expect(sent.mostBuffered).toBeGreaterThan(DRAINED_BYTES / 2);
    expect(await inPage(host, refusals)).toEqual(['too_large', 'buffer_full']);
  });
});

/** Runs in the page: sends random bytes in the largest messages, each of which begins with its number. */
async function sendFile({ session }: ClientPage, bytes: number) {
  const file = new Uint8Array(bytes);
  for (let start = 0; start < bytes; start += 65_536) {
    crypto.getRandomValues(file.subarray(start, start + 65_536));
  }
  const messageBytes = session.maxMessageBytes;
  const numbers = new DataView(file.buffer);
  let mostBuffered = 0;
  // The numbers are part of the file that is hashed, so that it need not be copied.
  for (let n = 0; n * messageBytes < bytes; n++) numbers.setUint32(n * messageBytes, n);
  const hash = [...new Uint8Array(await crypto.subtle.digest('SHA-256', file))].join();
  const at = Date.now();
  for (let start = 0; start < bytes; start += messageBytes) {
    await session.drained();
    session.send(file.subarray(start, start + messageBytes));
    mostBuffered = Math.max(mostBuffered, session.channel?.bufferedAmount ?? 0);
  }
  return { hash, messageBytes, mostBuffered, at };
}

/** Runs in the page: receives the file. */
function receiveFile(window: ClientPage, bytes: number): void {
  const page = window as FilePage;
  const file = new Uint8Array(bytes);
  let [got, messages, inOrder] = [0, 0, true];
  page.received = new Promise((resolve) => {
    page.session.on('message', async (message) => {
      page.messages = [];
      const data = new Uint8Array(message as ArrayBuffer);
      inOrder &&= new DataView(data.buffer).getUint32(0) === messages++;
      file.set(data, got);
      got += data.length;
      if (got < bytes) return;
      const at = Date.now();
      const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', file));
      resolve({ bytes: got, hash: [...digest].join(), inOrder, at });
    });
  });
}

/** Runs in the page: the codes for a message that is too large, and for more messages than the channel buffers. */
function refusals({ session }: ClientPage): string[] {
  const refusal = (send: () => void) => {
    try {
      for (;;) send();
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  return [
    refusal(() => session.send(new Uint8Array(session.maxMessageBytes + 1))),
    refusal(() => session.send(new Uint8Array(session.maxMessageBytes))),
  ];
}
