// The build of the pages: it builds nothing twice.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ROOT, run } from './support.js';

test('pages that are up to date are not built again', () => {
  run(process.execPath, ['scripts/build.js']);
  const before = statSync(`${ROOT}packages/server/public/client.js`).mtimeMs;
  run(process.execPath, ['scripts/build.js']);
  expect(statSync(`${ROOT}packages/server/public/client.js`).mtimeMs).toBe(before);
});

test('the client is two small files with source maps; the first names the other by its content', () => {
  const folder = `${ROOT}packages/server/public/`;
  const names = readdirSync(folder).filter((name) => /^client.*\.js$/.test(name));
  expect(names).toEqual([expect.stringMatching(/^client-verify-[A-Z0-9]{8}\.js$/), 'client.js']);
  const texts = names.map((name) => readFileSync(folder + name, 'utf8'));
  for (const [n, text] of texts.entries()) {
    expect(text).toMatch(/^\/\*! @couplet\/client \d+\.\d+\.\d+, MIT \*\/\n/);
    expect(text.trimEnd()).toContain(`//# sourceMappingURL=${names[n]}.map`);
    expect(text.length).toBeLessThan(n === 0 ? 10_000 : 40_000);
  }
  const imports = texts.map((text) => text.match(/\bimport\b(\(.*?\))?/g));
  expect(imports).toEqual([null, [`import("./${names[0]}")`]]);
});
