// Typed events.
import { expect, onTestFinished, test } from 'vitest';
import { Emitter } from '../src/emitter.js';

class Bell extends Emitter<{ ring: [number] }> {
  ring(times: number): void {
    this.emit('ring', times);
  }
  forget(): void {
    this.forgetListeners();
  }
}

test('a listener is called until it is taken off, or all are forgotten', () => {
  const bell = new Bell();
  const heard: number[] = [];
  bell.ring(0);
  const off = bell.on('ring', (times) => heard.push(times));
  bell.on('ring', (times) => heard.push(times * 10));
  bell.ring(1);
  off();
  bell.ring(2);
  bell.forget();
  bell.ring(3);
  expect(heard).toEqual([1, 10, 20]);
});

test('a listener that throws fails as an uncaught error of the application, and the next is called', async () => {
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
