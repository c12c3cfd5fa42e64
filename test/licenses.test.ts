// npm run licenses: lists the production dependencies, and fails on licenses that are not accepted.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { isAccepted } from '../scripts/licenses.js';
import { ROOT, read, tableRows } from './support.js';

test('lists every dependency of the server, direct or not, with version and license', () => {
  const rows = tableRows(execFileSync(process.execPath, [`${ROOT}scripts/licenses.js`]).toString());
  const { dependencies } = JSON.parse(read('packages/server/package.json'));
  const names = rows.map(([name]) => name);
  expect(names).toEqual(
    expect.arrayContaining(
      Object.keys(dependencies).filter((name) => !name.startsWith('@couplet/')),
    ),
  );
  expect(names).toContain('pino-std-serializers');
  // Neither development dependencies nor packages of this repository.
  expect(names.filter((name = '') => /^(vitest|jose|@couplet\/.*)$/.test(name))).toEqual([]);
  for (const [name, version = '', license = ''] of rows) {
    expect(version, name).toMatch(/^\d+\.\d+\.\d+/);
    expect(isAccepted(license), `${name}: ${license}`).toBe(true);
  }
});

test.each([
  ['MIT', true],
  ['(MIT OR GPL-3.0-only)', true],
  ['MIT AND Apache-2.0', true],
  ['MIT AND GPL-3.0-only', false],
  ['(BSD-2-Clause OR MIT OR Apache-2.0)', true],
  ['AGPL-3.0-or-later', false],
  ['SEE LICENSE IN LICENSE', false],
  ['unknown', false],
])('%s: accepted is %s', (license, accepted) => {
  expect(isAccepted(license)).toBe(accepted);
});

test('fails and names the package if a license is not accepted', () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'scripts'));
  for (const script of ['licenses.js', 'prepare.js', 'tables.js']) {
    cpSync(`${ROOT}scripts/${script}`, join(folder, 'scripts', script));
  }
  const packages = {
    '': {},
    'node_modules/fine': { version: '1.0.0', license: 'MIT' },
    'node_modules/viral': { version: '1.0.0', license: 'AGPL-3.0-only' },
    'node_modules/tool': { version: '1.0.0', license: 'AGPL-3.0-only', dev: true },
  };
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify({ packages }));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  const { status, stderr } = spawnSync(process.execPath, [join(folder, 'scripts/licenses.js')]);
  expect(status).toBe(1);
  expect(stderr.toString()).toBe('not accepted: viral (AGPL-3.0-only)\n');
});
