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

test.each([
  ['client.js', 40_000, ['import("./client-verify.js")']],
  ['client-verify.js', 10_000, []],
])('/%s is one small file with a source map, and loads nothing at once', (name, most, imports) => {
  const text = readFileSync(`${ROOT}packages/server/public/${name}`, 'utf8');
  expect(text).toMatch(/^\/\*! @couplet\/client \d+\.\d+\.\d+, MIT \*\/\n/);
  expect(text.trimEnd()).toContain(`//# sourceMappingURL=${name}.map`);
  expect(text.match(/\bimport\b.{0,22}/g) ?? []).toEqual(imports);
  expect(text.length).toBeLessThan(most);
});
