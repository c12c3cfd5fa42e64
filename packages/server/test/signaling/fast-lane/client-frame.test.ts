// Tests where the frames in a read end, as far as this can be known. The property of the fast lane covers parsing.
import { expect, test } from 'vitest';
import { endOfFrames } from '../../../src/signaling/fast-lane/client-frame.js';
import { frame, OPCODES, textFrame } from '../../fuzz/raw-frames.js';

const TEXT = textFrame('text');
const PING = frame({ opcode: OPCODES.ping });

test.each([
  ['whole frames', Buffer.concat([TEXT, PING, TEXT]), 0, 0],
  ['a frame without its end', Buffer.concat([PING, TEXT.subarray(0, -3)]), 0, 3],
  ['the end of an earlier frame', TEXT.subarray(4), TEXT.length - 4, 0],
  ['the middle of an earlier frame', TEXT.subarray(4, 6), TEXT.length - 4, TEXT.length - 6],
  ['the end of an earlier frame, and one more', Buffer.concat([TEXT.subarray(4), PING]), 6, 0],
])('%s: the number of missing bytes is known', (_what, bytes, owedBefore, owed) => {
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
])('after %s, the end of the frames is unknown', (_what, bytes) => {
  expect(endOfFrames(Buffer.concat([PING, bytes]), 0, 1000)).toBeUndefined();
});
