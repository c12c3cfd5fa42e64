// The library of a client reads Couplet's frames.
import type { Writable } from 'node:stream';

import { expect, test } from 'vitest';
import * as ws from 'ws';
import { textFrame } from '../../../src/signaling/websocket/text-frame.js';

/** The frame parser of ws, which is exported but missing in its types. */
const { Receiver } = ws as unknown as { Receiver: new () => Writable };

/** The messages that a client parses from these bytes. */
function messagesIn(...frames: Buffer[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const messages: string[] = [];
    const receiver = new Receiver();
    receiver.on('message', (data: Buffer, isBinary: boolean) => {
      expect(isBinary).toBe(false);
      messages.push(data.toString());
    });
    receiver.on('error', reject);
    receiver.end(Buffer.concat(frames), () => resolve(messages));
  });
}

test.each([0, 1, 125, 126, 65_535, 65_536, 100_000])(
  'a message of %i bytes arrives as it was sent (RFC 6455 §5.2)',
  async (bytes) => {
    const text = 'x'.repeat(bytes);
    expect(await messagesIn(textFrame(text), textFrame('next'))).toEqual([text, 'next']);
  },
);

test.each([
  ['é'.repeat(62), 124],
  ['é'.repeat(63), 126],
  ['😀 and ASCII', 14],
  ['\u2028'.repeat(21_845), 65_535],
])('lengths are counted in bytes of UTF-8: %#', async (text, bytes) => {
  expect(Buffer.byteLength(text)).toBe(bytes);
  expect(await messagesIn(textFrame(text))).toEqual([text]);
});
