// docs/client-api.md is what npm run docs generates from the comments of the client, and every export has a comment.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { ROOT, run } from './support.js';

const folder = temporaryFolder();

test('docs/client-api.md matches the comments, and every export has one', () => {
  const file = join(folder, 'client-api.md');
  const { stderr } = run(process.execPath, [`${ROOT}scripts/api-docs/main.js`, file]);
  expect(stderr).toBe('');
  expect(readFileSync(`${ROOT}docs/client-api.md`, 'utf8')).toBe(readFileSync(file, 'utf8'));
});
