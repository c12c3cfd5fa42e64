// The generator's own WebSocket and HTTP code, which replaces real clients in every measurement.
import { describe, expect, test } from 'vitest';
import { clientFrame, PING, TEXT } from '../src/wire/client-frames.js';
import { FrameCounter } from '../src/wire/frame-counter.js';
import { HttpReader } from '../src/wire/http-reader.js';

/** A frame as a server sends it: unmasked. */
function serverFrame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  if (length < 126) return Buffer.concat([Buffer.from([0x80 | opcode, length]), payload]);
  const head = Buffer.alloc(length < 65_536 ? 4 : 10);
  head[0] = 0x80 | opcode;
  head[1] = length < 65_536 ? 126 : 127;
  if (length < 65_536) head.writeUInt16BE(length, 2);
  else head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, payload]);
}

describe('a client frame', () => {
  test.each([
    [5, 6],
    [125, 6],
    [126, 8],
    [65_535, 8],
    [65_536, 14],
  ])('of %i bytes is masked after a header of %i (RFC 6455 §5.2)', (length, headBytes) => {
    const payload = Buffer.alloc(length, 'abc');
    const frame = clientFrame(TEXT, payload);
    expect(frame.length).toBe(headBytes + length);
    expect(frame[0]).toBe(0x81);
    expect((frame[1] as number) & 0x80).toBe(0x80);
    const mask = frame.subarray(headBytes - 4, headBytes);
    const unmasked = frame.subarray(headBytes).map((byte, n) => byte ^ (mask[n % 4] as number));
    expect(Buffer.compare(unmasked, payload)).toBe(0);
  });
});

describe('the counter of frames', () => {
  const frames = Buffer.concat([
    serverFrame(TEXT, Buffer.alloc(10)),
    serverFrame(PING, Buffer.alloc(0)),
    serverFrame(TEXT, Buffer.alloc(0)),
    serverFrame(TEXT, Buffer.alloc(300, 'x')),
    serverFrame(TEXT, Buffer.alloc(70_000)),
    serverFrame(8, Buffer.from([3, 232])),
  ]);

  test.each([1, 2, 3, 7, 100, 1000, frames.length])(
    'counts the same in pieces of %i bytes',
    (size) => {
      const counter = new FrameCounter();
      let texts = 0;
      for (let at = 0; at < frames.length; at += size) {
        const piece = frames.subarray(at, at + size);
        texts += counter.take(piece, 0, piece.length);
      }
      expect({ texts, pings: counter.pings, closed: counter.closed }).toEqual({
        texts: 4,
        pings: 1,
        closed: true,
      });
    },
  );

  test('reports texts of another length than the expected one', () => {
    const counter = new FrameCounter();
    counter.expectedLength = 300;
    counter.take(frames, 0, frames.length);
    expect(counter.unexpected).toBe(3);
  });
});

describe('the reader of HTTP answers', () => {
  const answers = Buffer.from(
    'HTTP/1.1 201 Created\r\ncontent-type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}' +
      'HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n' +
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\nDate: now\r\n\r\n{}',
  );

  test.each([1, 5, 64, answers.length])('finds the same in pieces of %i bytes', (size) => {
    const found: [number, string][] = [];
    const reader = new HttpReader((status, buffer, from, to) => {
      found.push([status, buffer.toString('latin1', from, to)]);
    });
    for (let at = 0; at < answers.length; at += size) reader.take(answers.subarray(at, at + size));
    expect(found).toEqual([
      [201, '{"ok":true}'],
      [204, ''],
      [200, '{}'],
    ]);
  });
});
