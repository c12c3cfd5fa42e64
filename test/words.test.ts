// Keeps words that readers stumble on out of the text files of the repository: style, not spelling.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ROOT, repositoryFiles } from './support.js';

// In pieces, so that this file does not contain them.
const WORDS = [
  ['an', 'ew'],
  ['who', 'ever'],
  ['com', 'pany'],
  ['be', 'fall'],
  ['of yo', 'urs'],
  ['without a w', 'ord'],
  ['acquaint', 'ance'],
].map((pieces) => pieces.join(''));

/** Not written here: third-party names, license texts, and figures that programs draw. */
const NOT_OURS = /^package-lock\.json$|(^|\/)LICENSE$|^docs\/performance\/.*\.(svg|json)$/;

test('no text file has a word from the list', () => {
  const pattern = new RegExp(`\\b(${WORDS.join('|')})\\b`, 'i');
  const found = repositoryFiles()
    .filter((path) => !NOT_OURS.test(path))
    .flatMap((path) =>
      read(path)
        .split('\n')
        .map((line, n) => ({ line, place: `${path}:${n + 1}` })),
    )
    .filter(({ line }) => pattern.test(line))
    .map(({ line, place }) => `${place}: ${line.trim()}`);
  expect(found).toEqual([]);
});

/** The text of a file; empty if it is binary, or deleted but not committed. */
function read(path: string): string {
  try {
    const text = readFileSync(ROOT + path, 'utf8');
    return text.includes('\0') ? '' : text;
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return '';
    throw error;
  }
}
