// What a person sees on a terminal after the start.
import { expect, test } from 'vitest';
import { welcome } from '../../src/cli/terminal.js';
import { parseConfig } from '../../src/settings/config.js';

const ORIGIN = 'http://192.168.1.20:8080';
const shown = (env: Record<string, string>, origin: string | undefined = ORIGIN) =>
  welcome(parseConfig({ USE_SQLITE: '1', ...env }), 8080, origin);

test('the URLs of the demo for this machine and for a phone, with a QR code, and how to stop', () => {
  const text = shown({});
  expect(text).toContain('This machine:  http://localhost:8080/demo/\n');
  expect(text).toContain('Your network:  http://192.168.1.20:8080/demo/\n');
  expect(text).toMatch(/[█▀▄]{5}/);
  expect(text).toContain('Camera and microphone need HTTPS there');
  expect(text).toContain('Ctrl+C stops the server.');
});

test('with --https, the QR code leads to HTTPS, and no line asks for it', () => {
  const text = shown({}, 'https://192.168.1.20:8081');
  expect(text).toContain('Your network:  https://192.168.1.20:8081/demo/\n');
  expect(text).not.toContain('need HTTPS');
});

test('without the demo, the URL of the server', () => {
  expect(shown({ DEMO: '0' })).toContain('http://localhost:8080/\n');
});

test.each([
  ['127.0.0.1', 'http://127.0.0.1:8080/demo/', 'because HOST is 127.0.0.1.'],
  ['::1', 'http://[::1]:8080/demo/', 'because HOST is ::1.'],
  ['0.0.0.0', 'http://localhost:8080/demo/', 'this machine has no network address.'],
])('with HOST=%s and no address for a phone, there is no QR code', (HOST, url, reason) => {
  const text = welcome(parseConfig({ USE_SQLITE: '1', HOST }), 8080, undefined);
  expect(text).toContain(`This machine:  ${url}\n`);
  expect(text).toContain(reason);
  expect(text).not.toMatch(/[█▀▄]/);
});

test.each([
  [{}, 'only devices on the same network can connect'],
  [{ STUN_URLS: 'stun:stun.example.org' }, 'STUN is configured, TURN is not'],
  [
    { TURN_URLS: 'turn:turn.example.org', TURN_SECRET: 'x'.repeat(32) },
    'TURN is configured: devices on different networks can connect',
  ],
  [
    { ICE_SERVERS_URL: 'https://turn.example.org' },
    'TURN is configured: devices on different networks can connect',
  ],
])('%j: %s', (env, line) => {
  expect(shown(env)).toContain(line);
});
