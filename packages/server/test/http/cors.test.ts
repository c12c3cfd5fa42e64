// ALLOWED_ORIGINS: origins that an entry matches, and entries that are refused because they match nothing.
import { expect, test } from 'vitest';
import { parseConfig } from '../../src/settings/config.js';
import { originRule } from '../../src/settings/origins.js';

const rule = (allowedOrigins: string) =>
  originRule(parseConfig({ ALLOWED_ORIGINS: allowedOrigins }));

test('* allows any origin', () => {
  expect(rule('*')).toBeNull();
});

const EXTENSION = 'chrome-extension://mdplmiioglkpgkgblfdilgebppppgdlm';

test.each([
  ['https://app.example.org', 'https://app.example.org'],
  ['https://a.example , http://b.example:81', 'http://b.example:81'],
  ['https://App.Example.org', 'https://app.example.org'],
  ['HTTPS://app.example.org/', 'https://app.example.org'],
  ['https://app.example.org:443', 'https://app.example.org'],
  ['http://app.example.org:80', 'http://app.example.org'],
  ['https://app.example.org.', 'https://app.example.org'],
  ['https://app.example.org', 'https://app.example.org.'],
  ['https://app.example.org.:8443', 'https://app.example.org:8443'],
  // Some WebSocket client libraries set their own Origin.
  ['https://app.example.org', 'https://app.example.org:443'],
  ['https://b\u00fccher.example', 'https://xn--bcher-kva.example'],
  ['http://[::1]:3000', 'http://[::1]:3000'],
  ['https://a.example,', 'https://a.example'],
  ['capacitor://localhost', 'capacitor://localhost'],
  ['app://My.Bundle', 'app://my.bundle'],
  [EXTENSION, EXTENSION],
])('%s allows pages of %s', (list, origin) => {
  expect(rule(list)?.(origin)).toBe(true);
});

test.each([
  ...'http://app.example.org | https://app.example.org:8443 | https://www.app.example.org'.split(
    ' | ',
  ),
  ...'https://app.example.org.evil.example | https://app.example.org@evil.example'.split(' | '),
  ...'capacitor://app.example.org | null |  | https://'.split(' | '),
])('https://app.example.org does not allow pages of %s', (origin) => {
  expect(rule('https://app.example.org')?.(origin)).toBe(false);
});

test.each([
  ['https://*.example.org', /wildcard/],
  ['https://a.example, *', /only entry/],
  ['null', /sandboxed/],
  ['app.example.org', /scheme and a host/],
  ['https://app.example.org/app', /without path/],
  ['https://user@app.example.org', /without path or user/],
  ['wss://app.example.org', /begins with http/],
  ['file:///', /scheme and a host|null/],
  ['file://localhost', /null/],
  ['https://app.example.org:99999', /not a valid URL/],
  [',', /empty/],
])('%s can match nothing and is refused at the start', (list, reason) => {
  expect(() => rule(list)).toThrow(new RegExp(`^ALLOWED_ORIGINS: .*(${reason.source})`));
});
