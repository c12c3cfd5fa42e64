// JSON that is too deep or has too many values is refused before objects are created.
import { MAX_JSON_VALUES } from '@couplet/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isModestJson, parseModestJson } from '../../src/http/json-shape.js';

const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
const objects = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;

test.each([
  ['arrays', nested],
  ['objects', objects],
])('%s nested 32 levels deep are parsed, 33 are not', (_name, text) => {
  expect(isModestJson(text(32))).toBe(true);
  expect(isModestJson(text(33))).toBe(false);
  expect(() => parseModestJson(text(33))).toThrow(SyntaxError);
});

test('one value more than the limit is refused, in arrays and in objects', () => {
  const array = (n: number) => JSON.stringify(Array.from({ length: n }, () => 0));
  expect(isModestJson(array(MAX_JSON_VALUES))).toBe(true);
  expect(isModestJson(array(MAX_JSON_VALUES + 1))).toBe(false);
  expect(isModestJson(array(5), 4)).toBe(false);
  const siblings = `[${Array.from({ length: MAX_JSON_VALUES }, () => '{}').join(',')}]`;
  expect(isModestJson(siblings)).toBe(false);
});

test.each([
  ['brackets', '['.repeat(5_000)],
  ['commas', ','.repeat(5_000)],
  ['quotes before brackets', '"['.repeat(2_000)],
  ['backslashes before quotes and brackets', '\\"[\\\\"{'.repeat(2_000)],
])('%s within a string do not count as structure', (_name, string) => {
  const text = JSON.stringify({ sdp: string, [string]: 1 });
  expect(parseModestJson(text)).toEqual({ sdp: string, [string]: 1 });
});

test('a text of backslashes and quotes takes linear time', () => {
  const started = performance.now();
  isModestJson(`"${'\\'.repeat(2_000_000)}`);
  isModestJson(`"${'\\"'.repeat(2_000_000)}`);
  expect(performance.now() - started).toBeLessThan(2_000);
});

test('the output of JSON.stringify for a value within the bounds is parsed to the same value', () => {
  const value = fc.jsonValue({ maxDepth: 6 });
  fc.assert(
    fc.property(value, (json) => {
      const text = JSON.stringify(json);
      expect(parseModestJson(text, text.length)).toEqual(JSON.parse(text));
    }),
  );
});
