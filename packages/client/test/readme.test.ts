// Compares the states, events, members and error codes of the README with the code.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { quoted, read, section, tableRows } from '../../../test/support.js';

const readme = read('packages/client/README.md');
const source = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../src/${name}.ts`, import.meta.url)), 'utf8');
/** The strings of a union type in the source. */
const unionOf = (file: string, name: string) => {
  const [, body = ''] = new RegExp(`export type ${name} =([^;]+);`).exec(source(file)) ?? [];
  return Array.from(body.matchAll(/'([\w-]+)'/g), ([, member]) => member as string);
};

test('names every state, and the table reaches each state', () => {
  const states = unionOf('session/session-events', 'SessionState');
  expect(states).toHaveLength(4);
  const [members, transitions] = section(readme, '## The session').split('| state ');
  const [state = ''] = members?.match(/^\| `state` .*$/m) ?? [];
  expect(quoted(state).slice(1)).toEqual(states);
  const rows = tableRows(`| state ${transitions}`);
  const reached = rows.map(([, , next]) => quoted(next ?? '')[0]);
  expect([...new Set(reached)].sort()).toEqual([...states].sort());
});

test('has the same transitions as the comment in the code', () => {
  const comment = source('session/session-events').match(/^\/\/ {3}.*│.*$/gm) ?? [];
  const cells = comment.map((line) =>
    line
      .slice(5)
      .split('│')
      .map((cell) => cell.trim()),
  );
  const [, transitions = ''] = section(readme, '## The session').split('| state ');
  const rows = tableRows(`| state ${transitions}`).map((row) =>
    row.map((cell) => cell.replaceAll('`', '')),
  );
  expect(rows).toEqual(cells.slice(1));
});

test('names every event', () => {
  const [, body = ''] =
    /interface SessionEvents \{(.*?)^\}/ms.exec(source('session/session-events')) ?? [];
  const events = Array.from(body.matchAll(/^ {2}'?([\w-]+)'?: \[/gm), ([, name]) => name);
  expect(events.length).toBeGreaterThan(5);
  const [row = ''] = readme.match(/^\| `on\(event, listener\)`.*$/m) ?? [];
  expect(quoted(row).slice(1).sort()).toEqual(events.sort());
});

test('names every state of signaling', () => {
  const [row = ''] = readme.match(/^\| `signaling` .*$/m) ?? [];
  expect(quoted(row).slice(1)).toEqual(unionOf('session/session-events', 'SignalingState'));
});

test('names every local code, every final close and every final refusal', () => {
  const named = new Set(
    quoted(readme.replace(/```.*?```/gs, '')).map((code) => code.replace('4001 ', '')),
  );
  for (const union of ['LocalErrorCode', 'FinalClose', 'FinalRefusal']) {
    const codes = unionOf('errors', union);
    expect(codes.length).toBeGreaterThan(1);
    expect(codes.filter((code) => !named.has(code))).toEqual([]);
  }
});
