// Memory that is lent to streams for one turn: whoever may still read it keeps it.
import { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { Corking } from '../../../src/signaling/websocket/corking.js';

/** A TCP socket that is not connected yet, and so keeps what it is given. */
const unconnected = () => Object.assign(new Socket(), { connecting: true });

const lentOf = (corking: Corking) => {
  corking.frames.beginRun();
  corking.frames.add(10);
  return corking.frames.run();
};

test('frames are lent to a socket that has nothing left, and the next turn uses their memory again', () => {
  const corking = new Corking();
  const { bytes } = corking.frames;
  const frames = lentOf(corking);
  expect(corking.lend(new Socket(), frames)).toBe(frames);
  corking.release();
  expect(corking.frames.bytes).toBe(bytes);
});

test('a socket that did not take all keeps the memory, and the next turn has other', () => {
  const corking = new Corking();
  const { bytes } = corking.frames;
  const socket = unconnected();
  socket.write(corking.lend(socket, lentOf(corking)));
  corking.release();
  expect(corking.frames.bytes).not.toBe(bytes);
});

test.each([
  ['a socket that has something left', unconnected(), 'left'],
  ['a stream that is no TCP socket', new PassThrough(), ''],
])('%s gets a copy, and keeps nothing of the memory', (_what, stream, left) => {
  stream.write(left);
  const corking = new Corking();
  const { bytes } = corking.frames;
  const frames = lentOf(corking);
  const given = corking.lend(stream, frames);
  expect(given).toEqual(frames);
  expect(given.buffer).not.toBe(frames.buffer);
  corking.release();
  expect(corking.frames.bytes).toBe(bytes);
});
