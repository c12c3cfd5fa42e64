// Memory is lent to streams for one turn; a stream that may still read it keeps it.
import { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { Corking } from '../../../src/signaling/websocket/corking.js';

/** A TCP socket that is not connected yet, so it keeps written chunks. */
const unconnected = () => Object.assign(new Socket(), { connecting: true });

const lentOf = (corking: Corking) => {
  corking.frames.beginRun();
  corking.frames.end += 10;
  return corking.frames.run();
};

test('frames are lent to a socket without pending bytes, and the next turn reuses their memory', () => {
  const corking = new Corking();
  const { bytes } = corking.frames;
  const frames = lentOf(corking);
  expect(corking.lend(new Socket(), frames)).toBe(frames);
  corking.release();
  expect(corking.frames.bytes).toBe(bytes);
});

test('a socket with pending bytes keeps the memory, and the next turn gets new memory', () => {
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
