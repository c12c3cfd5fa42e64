// Client frames are found in the bytes of a read, and unmasked.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ClientFrame, endOfFrames } from '../../../src/signaling/fast-lane/client-frame.js';
import { viewOf } from '../../../src/signaling/websocket/turn-buffer.js';
import { frame, OPCODES, textFrame } from '../../fuzz/raw-frames.js';

const TEXT = textFrame('text');
const PING = frame({ opcode: OPCODES.ping });

test('a payload of any length is found and unmasked, at any offset', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.constantFrom(0, 2, 8),
      fc.nat(9),
      fc.nat(9),
      (given, lengthBytes, before, at) => {
        fc.pre(lengthBytes !== 0 || given.length < 126);
        const payload = Buffer.from(given);
        const bytes = frame({ opcode: OPCODES.text, payload, lengthBytes: lengthBytes as 0 });
        const read = Buffer.concat([Buffer.alloc(before), bytes]);
        const found = new ClientFrame();
        expect(found.read(read, before)).toBe(true);
        expect(found.end).toBe(read.length);
        const target = Buffer.alloc(at + payload.length + 1, '.');
        found.unmaskInto(viewOf(target), at, viewOf(read));
        expect(target.subarray(at, -1)).toEqual(payload);
        expect(`${target.subarray(0, at)}${target.subarray(-1)}`).toBe('.'.repeat(at + 1));
      },
    ),
  );
});

test('an incomplete header is not read', () => {
  const long = frame({ opcode: OPCODES.text, payload: Buffer.alloc(70_000) });
  for (let bytes = 0; bytes < 14; bytes++) {
    expect(new ClientFrame().read(long.subarray(0, bytes), 0)).toBe(false);
  }
  expect(new ClientFrame().read(long.subarray(0, 14), 0)).toBe(true);
});

test.each([
  ['frames that are all there', Buffer.concat([TEXT, PING, TEXT]), 0, 0],
  ['a frame without its end', Buffer.concat([PING, TEXT.subarray(0, -3)]), 0, 3],
  ['the end of one before', TEXT.subarray(4), TEXT.length - 4, 0],
  ['the middle of one before', TEXT.subarray(4, 6), TEXT.length - 4, TEXT.length - 6],
  ['the end of one before, and one more', Buffer.concat([TEXT.subarray(4), PING]), 6, 0],
])('of %s it is known how much is owed', (_what, bytes, owedBefore, owed) => {
  expect(endOfFrames(bytes, owedBefore, bytes.length)).toBe(bytes.length + owed);
});

test('frames are found up to the one that contains the limit', () => {
  const bytes = Buffer.concat([PING, TEXT, PING, TEXT]);
  const second = PING.length + TEXT.length;
  expect(endOfFrames(bytes, 0, PING.length + 1)).toBe(second);
  expect(endOfFrames(bytes, 0, second)).toBe(second);
  expect(endOfFrames(bytes, second, 1)).toBe(second);
});

test.each([
  ['the middle of a head', TEXT.subarray(0, 5)],
  ['a fragment', frame({ opcode: OPCODES.text, fin: false })],
  ['the last fragment', frame({ opcode: OPCODES.continuation })],
  ['a close frame', frame({ opcode: OPCODES.close })],
  ['a reserved bit', frame({ opcode: OPCODES.text, rsv: 4 })],
  ['an unknown opcode', frame({ opcode: 3 })],
  ['a frame without a mask', frame({ opcode: OPCODES.text, masked: false })],
])('after %s it is not', (_what, bytes) => {
  expect(endOfFrames(Buffer.concat([PING, bytes]), 0, 1000)).toBeUndefined();
});
