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

test.each([
  ...[0, 1, 125, 126, 65_535, 65_536, 100_000].map((bytes) => 'x'.repeat(bytes)),
  // Lengths are counted in bytes of UTF-8: 124, 126, 14 and 65,535.
  ...['é'.repeat(62), 'é'.repeat(63), '😀 and ASCII', '\u2028'.repeat(21_845)],
])('a message arrives as it was sent, whatever its length (RFC 6455 §5.2): %#', async (text) => {
  expect(await messagesIn(textFrame(text), textFrame('next'))).toEqual([text, 'next']);
});
