// Tests the output of the doctor: marks, advice, line width, color, and JSON.
import { expect, test } from 'vitest';
import type { Result } from '../src/diagnosis.js';
import { renderHead, renderResult, renderSum } from '../src/report.js';

const result = (more: Partial<Result>): Result => ({
  id: 'http',
  title: 'HTTP',
  target: null,
  status: 'passed',
  detail: 'Couplet answers',
  advice: null,
  ms: 3,
  ...more,
});

const RESULTS = [
  result({}),
  result({
    id: 'websocket',
    title: 'WebSocket',
    status: 'failed',
    detail: 'the upgrade on / was answered 200 instead of 101',
    advice:
      'The proxy in front does not pass the upgrade on. nginx needs, in `location = /`: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;',
  }),
  result({
    id: 'stun-binding',
    title: 'STUN binding',
    target: 'turn:turn.example.org:3478',
    status: 'not_applicable',
    detail: 'interrupted',
  }),
  result({ id: 'clean-up', title: 'Clean-up' }),
];

const rendered = (columns: number, colour = false) => {
  const look = { columns, colour };
  return [
    renderHead('https://chat.example.org', look),
    ...RESULTS.map((r, n) => renderResult(r, RESULTS[n - 1], look)),
    renderSum(RESULTS, look),
  ].join('');
};

test('a table for 80 columns', () => {
  expect(rendered(80)).toMatchInlineSnapshot(`
    "Couplet at https://chat.example.org

    ✓ HTTP            Couplet answers
    ✗ WebSocket       the upgrade on / was answered 200 instead of 101
                      → The proxy in front does not pass the upgrade on. nginx
                        needs, in \`location = /\`: proxy_http_version 1.1;
                        proxy_set_header Upgrade $http_upgrade;

    turn:turn.example.org:3478
    – STUN binding    interrupted

    ✓ Clean-up        Couplet answers

    1 failed, 2 passed, 1 not applicable.
    "
  `);
});

test.each([80, 100, 200, 60])('no line is longer than %i columns, or 100', (columns) => {
  const longest = Math.max(
    ...rendered(columns)
      .split('\n')
      .map((line) => line.length),
  );
  expect(longest).toBeLessThanOrEqual(Math.min(columns, 100));
});

test('color only adds escape codes', () => {
  const coloured = rendered(80, true);
  expect(coloured).toContain('\u001b[31m✗ WebSocket');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the colors are control characters
  expect(coloured.replace(/\u001b\[\d+m/g, '')).toBe(rendered(80));
});

test('texts from a server cannot control the terminal', () => {
  const hostile = result({ target: 'turn:\u001b[2J', detail: 'a\u0007b\nc' });
  const text = renderResult(hostile, undefined, { columns: 80, colour: false });
  expect(text).toContain('turn:?[2J\n');
  expect(text).toContain('a?b?c\n');
});
