// Tests the parsing of the doctor's address argument, and its refusals.
import { expect, test } from 'vitest';
import { ANY_ORIGIN, siteAt } from '../src/site.js';

test.each([
  ['http://127.0.0.1:8080', 'http://127.0.0.1:8080', 'ws://127.0.0.1:8080', '127.0.0.1', 8080],
  [
    'https://chat.example.org/',
    'https://chat.example.org',
    'wss://chat.example.org',
    'chat.example.org',
    443,
  ],
  [
    'http://chat.example.org/couplet//',
    'http://chat.example.org/couplet',
    'ws://chat.example.org/couplet',
    'chat.example.org',
    80,
  ],
  ['http://[::1]:8080', 'http://[::1]:8080', 'ws://[::1]:8080', '::1', 8080],
])('%s', (address, base, wsBase, host, port) => {
  expect(siteAt(address)).toMatchObject({
    base,
    wsBase,
    server: { host, port },
    origin: ANY_ORIGIN,
  });
});

test.each([
  ['no address', 'chat', /must be like/],
  ['another scheme', 'ftp://chat.example.org', /must be like/],
  ['a user', 'https://user@chat.example.org', /must not contain a user/],
  ['a password', 'https://:secret@chat.example.org', /must not contain a user/],
  ['a query', 'https://chat.example.org/?a=1', /must not contain \?/],
  ['a fragment', 'https://chat.example.org/#a', /must not contain \?/],
])('%s is refused', (_title, address, message) => {
  expect(() => siteAt(address)).toThrow(message);
});

test('an origin is accepted with or without a slash, and refused with a path', () => {
  const origin = (given: string) => siteAt('https://chat.example.org', { origin: given }).origin;
  expect(origin('https://app.example.org/')).toBe('https://app.example.org');
  expect(origin('capacitor://localhost')).toBe('capacitor://localhost');
  for (const wrong of ['app', 'https://app.example.org/page', 'ftp://app.example.org']) {
    expect(() => origin(wrong)).toThrow(/--origin must be like/);
  }
});

test('each run has its own test devices', () => {
  const all = [siteAt('http://x'), siteAt('http://x')].flatMap(({ devices }) => devices);
  expect(new Set(all).size).toBe(4);
});
