// .env.example has every variable with its description and default, and no other.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseConfig, SETTINGS } from '../../src/settings/config.js';
import { parseDotEnv } from '../../src/settings/environment.js';

/** The server's part. Sections for other programs (coturn, Redis) begin with a line `## `. */
const example = readFileSync(new URL('../../../../.env.example', import.meta.url), 'utf8').split(
  /^## /m,
  1,
)[0] as string;

/** For each variable, its value and the comment above it as one line. */
const entries = new Map(
  [...example.matchAll(/((?:^# .*\n)+)^#([A-Z][A-Z0-9_]*)=(.*)$/gm)].map(
    ([, comment = '', name = '', value = '']) => [
      name,
      { value, description: comment.replace(/^# /gm, '').trim().replaceAll('\n', ' ') },
    ],
  ),
);

test('.env.example has every setting once, in the documented order, and no other', () => {
  expect([...entries.keys()]).toEqual([...SETTINGS.keys()]);
  expect(example.match(/^#?\w+=/gm)).toHaveLength(SETTINGS.size);
});

test.each([...SETTINGS])('.env.example describes %s as the code does', (name, setting) => {
  const { default: value, description } = setting;
  const text = typeof value === 'boolean' ? String(Number(value)) : String(value);
  expect(entries.get(name)).toEqual({ value: text, description });
});

test('the file sets nothing, and without its # characters it sets the defaults', () => {
  expect(parseDotEnv(Buffer.from(example))).toEqual({});
  const env = parseDotEnv(Buffer.from(example.replace(/^#(?=[A-Z])/gm, '')));
  expect(Object.keys(env)).toHaveLength(SETTINGS.size);
  expect(parseConfig(env)).toEqual(parseConfig({}));
});
