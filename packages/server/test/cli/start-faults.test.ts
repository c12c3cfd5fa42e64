// Faults at the start: one line for each fault that the user can correct. The tests of the command cover the others.
import { expect, test } from 'vitest';
import { explain, listenFault } from '../../src/cli/start-faults.js';

const listening = (code: string, more = {}) =>
  listenFault(Object.assign(new Error('listen'), { code, ...more }));

test.each<[string, unknown, string[]]>([
  [
    'a privileged port',
    listening('EACCES', { port: 80 }),
    ['PORT: this process has no permission to listen on 80'],
  ],
  [
    'an unknown host name',
    listening('ENOTFOUND', { hostname: 'nowhere.invalid' }),
    ['HOST: nowhere.invalid is not an address of this machine'],
  ],
  ['another listening fault', listening('EINVAL'), ['HOST, PORT: cannot listen: listen']],
  ['a thrown value that is not an error', 'odd', ['odd']],
])('%s', (_title, error, lines) => {
  expect(explain(error)).toEqual(lines);
});

test('a fault of another call is not reported as one of PORT or HOST', () => {
  const ofRedis = Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND', hostname: 'redis' });
  expect(explain(ofRedis)[0]).toMatch(/^Error: getaddrinfo\n/);
});

test('a bug is reported with its stack', () => {
  expect(explain(new TypeError('bug'))[0]).toMatch(/^TypeError: bug\n +at /);
});
