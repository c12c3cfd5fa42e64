// The build of the pages: it runs where it can, and builds nothing twice.
import { readFileSync, statSync } from 'node:fs';
import { expect, test } from 'vitest';
import { runsVite } from '../scripts/pages.js';
import { ROOT, run } from './support.js';

test.each([
  ['20.12.2', false],
  ['20.19.0', true],
  ['21.7.0', false],
  ['22.11.0', false],
  ['22.12.0', true],
  ['24.0.0', true],
])('on Node %s, whether the pages are built is %s; the server runs on each', (version, isBuilt) => {
  expect(runsVite(version)).toBe(isBuilt);
});

test('pages that are up to date are not built again', () => {
  run(process.execPath, ['scripts/build.js']);
  const before = statSync(`${ROOT}packages/server/public/client.js`).mtimeMs;
  run(process.execPath, ['scripts/build.js']);
  expect(statSync(`${ROOT}packages/server/public/client.js`).mtimeMs).toBe(before);
});

test('/client.js is one small file with a source map, and loads nothing', () => {
  const text = readFileSync(`${ROOT}packages/server/public/client.js`, 'utf8');
  expect(text).toMatch(/^\/\*! @couplet\/client \d+\.\d+\.\d+, MIT \*\/\n/);
  expect(text.trimEnd()).toMatch(/\/\/# sourceMappingURL=client\.js\.map$/);
  expect(text).not.toMatch(/\bimport\b/);
  expect(text.length).toBeLessThan(40_000);
});
