// ALLOWED_HOSTS and the Host header: hosts for which a request is served.
import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import { hostRule, originForm, requestedHost } from '../../src/http/hosts.js';
import { parseConfig } from '../../src/settings/config.js';

const request = (hosts: string[], url = '/', httpVersion = '1.1') =>
  ({
    url,
    httpVersion,
    headers: { host: hosts[0] },
    rawHeaders: ['Accept', '*/*', ...hosts.flatMap((host) => ['Host', host])],
  }) as unknown as IncomingMessage;
const rule = (list = '') => hostRule(parseConfig({ ALLOWED_HOSTS: list }));
const LIST = 'Chat.Example.org, b\u00fccher.example.';

/** ALLOWED_HOSTS, the outcome, and hosts with ` | ` between them. */
test.each([
  ['', undefined, 'x | x:80 | evil.example | 127.0.0.1:8080 | [::1]:8080 |  | under_score.example'],
  [LIST, undefined, 'chat.example.org | CHAT.example.org:8443 | chat.example.org.'],
  [LIST, undefined, 'chat.example.org.:443 | xn--bcher-kva.example'],
  // Names that no web page can have.
  [
    LIST,
    undefined,
    'localhost:8080 | app.localhost | 127.0.0.1 | 192.168.1.7:8080 | [::1]:8080 | ',
  ],
  [LIST, 'forbidden', 'evil.example | www.chat.example.org | chat.example.org.evil.example'],
  [LIST, 'forbidden', 'localhost.evil.example | 127.0.0.1.evil.example | 1.2.3'],
  ['', 'invalid_request', 'x y | http://x | x/y | x:y | x@y | [::1 | x,y:80:80 | \u00e9'],
])('with the list "%s", the answer is %s to a request for %s', (list, outcome, hosts) => {
  for (const host of hosts.split(' | ')) expect(rule(list)(request([host])), host).toBe(outcome);
});

test('two hosts, or no host in HTTP/1.1, is an invalid request', () => {
  expect(rule()(request(['x', 'x']))).toBe('invalid_request');
  expect(rule()(request([]))).toBe('invalid_request');
  expect(rule(LIST)(request([], '/', '1.0'))).toBeUndefined();
});

test('the host of a target in absolute form takes precedence over the header', () => {
  const asked = request(['x'], 'HTTP://u@chat.example.org:81/a?b');
  expect(requestedHost(asked)).toBe('chat.example.org:81');
  expect(rule(LIST)(request(['localhost'], 'http://evil.example/'))).toBe('forbidden');
  expect(rule(LIST)(request(['evil.example'], 'http://chat.example.org/'))).toBeUndefined();
});

test.each([
  ['/a?b', '/a?b'],
  ['http://x/', '/'],
  ['http://x', '/'],
  ['https://x:81?a', '/?a'],
  ['http://x/a//http://y/', '/a//http://y/'],
  ['*', '*'],
])('the target %s has the path %s', (url, path) => {
  expect(originForm(url)).toBe(path);
});

test.each(
  'https://chat.example.org | chat.example.org:8080 | *.example.org | a b | a/b | a..b'.split(
    ' | ',
  ),
)('%s in the list is refused at the start', (name) => {
  expect(() => rule(`ok.example, ${name}`)).toThrow(/^ALLOWED_HOSTS: expected host names/);
});
