// Typed events.
import { expect, onTestFinished, test } from 'vitest';
import { Emitter } from '../src/emitter.js';

class Bell extends Emitter<{ ring: [number] }> {
  ring(times: number): void {
    this.emit('ring', times);
  }
  ringOrKeep(times: number): void {
    this.emitOrKeep('ring', times);
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

test('what is kept is for the first listener, in order, and for nobody after', async () => {
  const bell = new Bell();
  const heard: number[] = [];
  bell.ringOrKeep(1);
  bell.ringOrKeep(2);
  const off = bell.on('ring', (times) => heard.push(times));
  expect(heard).toEqual([]);
  bell.ringOrKeep(3);
  await Promise.resolve();
  expect(heard).toEqual([1, 2, 3]);
  bell.ringOrKeep(4);
  off();
  bell.ringOrKeep(5);
  bell.on('ring', (times) => heard.push(times * 10));
  await Promise.resolve();
  expect(heard).toEqual([1, 2, 3, 4]);
});

test('where nobody ever listens, there is an end to what is kept, and forgetting forgets it', async () => {
  const bell = new Bell();
  const heard: number[] = [];
  for (let times = 0; times < 5000; times++) bell.ringOrKeep(times);
  bell.on('ring', (times) => heard.push(times));
  await Promise.resolve();
  expect([heard.length, heard.at(-1)]).toEqual([1000, 999]);
  const other = new Bell();
  other.ringOrKeep(1);
  other.forget();
  other.on('ring', (times) => heard.push(times));
  await Promise.resolve();
  expect(heard).toHaveLength(1000);
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
