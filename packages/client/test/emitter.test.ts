// Tests the typed event emitter.
import { expect, onTestFinished, test } from 'vitest';
import { Emitter } from '../src/emitter.js';

class Bell extends Emitter<{ ring: [number]; text: [string | ArrayBuffer] }> {
  ring(times: number): void {
    this.emit('ring', times);
  }
  say(text: string | ArrayBuffer, overflow = () => {}): void {
    const bytes = typeof text === 'string' ? text.length * 2 : text.byteLength;
    this.keep('text', [text], bytes, overflow);
  }
  forget(): void {
    this.clear();
  }
}

test('a listener is called until it or all listeners are removed', () => {
  const bell = new Bell();
  const heard: number[] = [];
  bell.ring(0);
  const off = bell.on('ring', (times) => heard.push(times));
  const tenfold = (times: number) => heard.push(times * 10);
  bell.on('ring', tenfold);
  bell.once('ring', (times) => heard.push(times * 100));
  bell.once('ring', () => heard.push(-1))();
  bell.ring(1);
  off();
  bell.ring(2);
  bell.off('ring', tenfold);
  bell.ring(3);
  bell.on('ring', tenfold);
  bell.forget();
  bell.ring(4);
  expect(heard).toEqual([1, 10, 100, 20]);
});

test('events are kept while there is no listener, in order', async () => {
  const bell = new Bell();
  const heard: unknown[] = [];
  for (const text of ['1', '2', '3']) bell.say(text);
  bell.once('text', (text) => heard.push(text));
  expect(heard).toEqual([]);
  bell.say('4');
  await Promise.resolve();
  expect(heard).toEqual(['1']);
  const off = bell.on('text', (text) => {
    heard.push(text);
    if (text === '3') bell.say('5');
  });
  await Promise.resolve();
  expect(heard).toEqual(['1', '2', '3', '4', '5']);
  off();
  bell.say('6');
  bell.on('text', (text) => heard.push(text));
  bell.on('text', (text) => heard.push(`also ${text}`));
  await Promise.resolve();
  expect(heard.slice(5)).toEqual(['6', 'also 6']);
});

test.each([
  ['texts', 'x'.repeat(512 * 1024 - 32)],
  ['buffers', new ArrayBuffer(1024 * 1024 - 64)],
])(
  '16 MiB of %s are kept; later events are lost and reported once, until kept ones are emitted',
  async (_what, mebibyte) => {
    const bell = new Bell();
    let overflows = 0;
    const overflow = () => {
      overflows += 1;
    };
    for (let n = 0; n < 16; n++) bell.say(mebibyte, overflow);
    expect(overflows).toBe(0);
    for (const lost of ['a', mebibyte, 'b']) bell.say(lost, overflow);
    expect(overflows).toBe(1);
    const heard: unknown[] = [];
    bell.on('text', (text) => heard.push(text));
    await Promise.resolve();
    bell.say('c', overflow);
    expect([heard.length, heard.at(-1), overflows]).toEqual([17, 'c', 1]);
  },
);

test('if a listener throws, the error is uncaught, and the next listener is called', async () => {
  const bell = new Bell();
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  onTestFinished(() => {
    for (const listener of others) process.on('uncaughtException', listener);
  });
  const uncaught = new Promise((resolve) => process.once('uncaughtException', resolve));
  let heard = 0;
  bell.on('ring', () => {
    throw new Error('broken listener');
  });
  bell.on('ring', (times) => {
    heard = times;
  });
  bell.ring(4);
  expect(heard).toBe(4);
  expect(await uncaught).toMatchObject({ message: 'broken listener' });
});
