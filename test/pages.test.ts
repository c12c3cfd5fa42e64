// The build of the pages: it builds nothing twice.
import { readFileSync, statSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ROOT, run } from './support.js';

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
