// The generator's own WebSocket and HTTP code, which replaces real clients in every measurement.
import { describe, expect, test } from 'vitest';
import { PING, TEXT } from '../src/wire/client-frames.js';
import { FrameCounter } from '../src/wire/frame-counter.js';
import { HttpReader } from '../src/wire/http-reader.js';

/** A frame as a server sends it: unmasked. */
const serverFrame = (opcode: number, length: number): Buffer => {
  const head = length < 126 ? [length] : [126, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([0x80 | opcode, ...head]), Buffer.alloc(length)]);
};

describe('the counter of frames', () => {
  const frames = Buffer.concat([
    ...[serverFrame(TEXT, 10), serverFrame(PING, 0), serverFrame(TEXT, 0), serverFrame(TEXT, 300)],
    ...[serverFrame(TEXT, 60_000), serverFrame(8, 2)],
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
