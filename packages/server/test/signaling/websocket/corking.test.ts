// A stream that may read its memory later gets a copy. A test of the fast lane covers slow TCP readers.
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
