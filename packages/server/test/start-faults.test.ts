// Faults at the start: one line for each fault that the user can correct.
import { expect, test } from 'vitest';
import { BindingFault, DatabaseRefused } from '../src/pairing/sqlite/database.js';
import { ConfigError } from '../src/settings/config.js';
import { explain, ListenFault, UsageError } from '../src/start-faults.js';

const listening = (code: string, more = {}) =>
  new ListenFault(Object.assign(new Error('listen'), { code, ...more }));

test.each<[string, unknown, string[]]>([
  ['every fault of the configuration', new ConfigError(['A: x', 'B: y']), ['A: x', 'B: y']],
  ['a refused database', new DatabaseRefused('f.db', 'is damaged'), ['database f.db: is damaged']],
  [
    'a binding that cannot be used',
    new BindingFault('there is no binary for plan9-x64'),
    ['@photostructure/sqlite: there is no binary for plan9-x64'],
  ],
  ['a wrong command line', new UsageError('unknown command: x'), ['unknown command: x']],
  ['a port in use', listening('EADDRINUSE', { port: 80 }), ['PORT: 80 is already in use']],
  [
    'a privileged port',
    listening('EACCES', { port: 80 }),
    ['PORT: this process has no permission to listen on 80'],
  ],
  [
    'an address of another machine',
    listening('EADDRNOTAVAIL', { address: '192.0.2.1' }),
    ['HOST: 192.0.2.1 is not an address of this machine'],
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
