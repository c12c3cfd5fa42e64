// Parsing of the environment: defaults, accepted forms, and the report of all faults.
import { describe, expect, test } from 'vitest';
import { ConfigError, parseConfig, SETTINGS } from '../../src/settings/config.js';

function faultsOf(env: Record<string, string>): readonly string[] {
  try {
    parseConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

test('an empty environment gives the documented defaults, frozen', () => {
  const config = parseConfig({});
  expect(config).toMatchObject({
    port: 8080,
    useSqlite: false,
    sqliteDbPath: './data/chat.db',
    allowedOrigins: '*',
    roomIdleDays: 0,
    production: false,
  });
  expect(Object.isFrozen(config)).toBe(true);
  for (const { key, default: value } of SETTINGS.values()) expect(config[key]).toBe(value);
});

test('an empty variable counts as unset', () => {
  const empty = Object.fromEntries([...SETTINGS.keys()].map((name) => [name, '  ']));
  expect(parseConfig(empty)).toEqual(parseConfig({}));
});

test('unknown variables are ignored', () => {
  expect(parseConfig({ PATH: '/bin', PORTS: 'x' })).toEqual(parseConfig({}));
});

test.each(['1', 'true', 'TRUE', 'yes', 'on', ' 1 '])('USE_SQLITE=%s turns it on', (value) => {
  expect(parseConfig({ USE_SQLITE: value }).useSqlite).toBe(true);
});

test.each(['0', 'false', 'No', 'off', ''])('USE_SQLITE=%s turns it off', (value) => {
  expect(parseConfig({ USE_SQLITE: value }).useSqlite).toBe(false);
});

test.each([
  ['USE_SQLITE', '2'],
  ['USE_SQLITE', 'constructor'],
  ['USE_SQLITE', '__proto__'],
  ['PORT', '-1'],
  ['PORT', '65536'],
  ['PORT', '80.5'],
  ['PORT', '0x50'],
  ['PORT', '1e3'],
  ['PORT', 'http'],
  ['PORT', '99999999999999999999'],
  ['HEARTBEAT_SECONDS', '0'],
  ['ROOM_IDLE_DAYS', '36501'],
  ['MAX_WAITING_CHECKS', '-5'],
  ['LOG_LEVEL', 'loud'],
  ['LOG_LEVEL', 'INFO '.repeat(2)],
  ['LOG_FORMAT', 'xml'],
  ['ADMIN_TOKEN', 'short'],
])('%s=%s is reported as a fault of that variable', (name, value) => {
  const faults = faultsOf({ [name]: value });
  expect(faults).toHaveLength(1);
  expect(faults[0]).toMatch(new RegExp(`^${name}: expected .*, got `));
});

test('all faults are reported together, one line each', () => {
  const faults = faultsOf({
    PORT: 'x',
    USE_SQLITE: 'maybe',
    LOG_LEVEL: 'loud',
    ADMIN_TOKEN: 'short',
    ROOM_IDLE_DAYS: '-1',
  });
  expect(faults.map((fault) => fault.split(':')[0])).toEqual([
    'PORT',
    'USE_SQLITE',
    'ADMIN_TOKEN',
    'ROOM_IDLE_DAYS',
    'LOG_LEVEL',
  ]);
  expect(faults).toEqual(expect.arrayContaining([expect.stringContaining('0 to 65535')]));
  expect(faults.join('')).not.toContain('\n');
});

test('a fault suppresses only the checks that depend on that variable', () => {
  const ports = { TURN_MIN_PORT: '60000', TURN_MAX_PORT: '50000', TURN_TLS_PORT: '3478' };
  const namesOf = (env: Record<string, string>) =>
    faultsOf(env).map((fault) => fault.split(':')[0]);
  expect(namesOf({ PORT: 'abc', ...ports })).toEqual(['PORT', 'TURN_MIN_PORT', 'TURN_TLS_PORT']);
  // The faulty value is unknown, so it cannot be compared.
  expect(namesOf({ ...ports, TURN_MAX_PORT: 'abc' })).toEqual(['TURN_MAX_PORT', 'TURN_TLS_PORT']);
  expect(namesOf({ HOST: 'x', USE_SQLITE: 'maybe', REQUIRE_PAIRED_ROOMS: '1' })).toEqual([
    'USE_SQLITE',
  ]);
});

test('a fault quotes the value, but never a secret', () => {
  expect(faultsOf({ PORT: 'eighty' })[0]).toContain('"eighty"');
  for (const [name, { secret }] of SETTINGS) {
    if (!secret) continue;
    const faults = faultsOf({ [name]: 'hunter2' });
    expect(faults).toHaveLength(1);
    expect(faults[0]).not.toContain('hunter2');
  }
  const all = new ConfigError(faultsOf({ ADMIN_TOKEN: 'hunter2', PORT: 'x' }));
  expect(all.message).not.toContain('hunter2');
});

describe('the table', () => {
  test('names each variable once, in upper case, with a valid default', () => {
    for (const [name, { description }] of SETTINGS) {
      expect(name).toMatch(/^[A-Z][A-Z_]+$/);
      expect(description).toMatch(/\.$/);
    }
    expect(new Set([...SETTINGS.values()].map(({ key }) => key)).size).toBe(SETTINGS.size);
  });
});
