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

test('the client is three small files with source maps, of which one is named by its content', () => {
  const folder = `${ROOT}packages/server/public/`;
  const names = readdirSync(folder).filter((name) => /^client.*\.js$/.test(name));
  const verify = expect.stringMatching(/^client-verify-[A-Z0-9]{8}\.js$/);
  expect(names).toEqual(['client-media.js', verify, 'client.js']);
  const texts = names.map((name) => readFileSync(folder + name, 'utf8'));
  for (const [n, text] of texts.entries()) {
    expect(text).toMatch(/^\/\*! @couplet\/client \d+\.\d+\.\d+, MIT \*\/\n/);
    expect(text.trimEnd()).toContain(`//# sourceMappingURL=${names[n]}.map`);
    expect(text.length).toBeLessThan(n < 2 ? 10_000 : 40_000);
  }
  const imports = texts.map((text) => text.match(/\bimport\b(\(.*?\))?/g));
  expect(imports).toEqual([null, null, [`import("./${names[1]}")`]]);
});
