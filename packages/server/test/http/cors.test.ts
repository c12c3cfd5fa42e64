// ALLOWED_ORIGINS: what each entry matches, and what is refused because nothing could match it.
import { expect, test } from 'vitest';
import { parseConfig } from '../../src/settings/config.js';
import { originRule } from '../../src/settings/origins.js';

const rule = (allowedOrigins: string) =>
  originRule(parseConfig({ ALLOWED_ORIGINS: allowedOrigins }));

test('* is any origin', () => {
  expect(rule('*')).toBeNull();
});

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
  // Some libraries of WebSocket clients write an Origin of their own.
  ['https://app.example.org', 'https://app.example.org:443'],
  ['https://b\u00fccher.example', 'https://xn--bcher-kva.example'],
  ['http://[::1]:3000', 'http://[::1]:3000'],
  ['https://a.example,', 'https://a.example'],
  ['capacitor://localhost', 'capacitor://localhost'],
  ['ionic://localhost', 'ionic://localhost'],
  ['tauri://localhost', 'tauri://localhost'],
  ['app://My.Bundle', 'app://my.bundle'],
  [
    'chrome-extension://mdplmiioglkpgkgblfdilgebppppgdlm',
    'chrome-extension://mdplmiioglkpgkgblfdilgebppppgdlm',
  ],
])('%s lets in pages of %s', (list, origin) => {
  expect(rule(list)?.(origin)).toBe(true);
});

test.each([
  'http://app.example.org',
  'https://app.example.org:8443',
  'https://www.app.example.org',
  'https://app.example.org.evil.example',
  'https://app.example.org@evil.example',
  'capacitor://app.example.org',
  'null',
  '',
  'https://',
])('https://app.example.org does not let in pages of %s', (origin) => {
  expect(rule('https://app.example.org')?.(origin)).toBe(false);
});

test.each([
  ['https://*.example.org', /wildcard/],
  ['https://a.example, *', /alone/],
  ['null', /sandboxed/],
  ['app.example.org', /scheme and a host/],
  ['https://app.example.org/app', /without path/],
  ['https://user@app.example.org', /without path or user/],
  ['wss://app.example.org', /begins with http/],
  ['file:///', /scheme and a host|null/],
  ['file://localhost', /null/],
  ['https://app.example.org:99999', /not a valid URL/],
  [',', /empty/],
])('%s can match nothing, and is refused at the start', (list, reason) => {
  expect(() => rule(list)).toThrow(reason);
  expect(() => rule(list)).toThrow(/^ALLOWED_ORIGINS: /);
});
