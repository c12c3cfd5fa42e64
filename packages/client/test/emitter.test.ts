// Tests the typed event emitter.
import { expect, onTestFinished, test } from 'vitest';
import { Emitter } from '../src/emitter.js';

class Bell extends Emitter<{ ring: [number] }> {
  ring(times: number): void {
    this.emit('ring', times);
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
