// Renders the results as text, with ✓, ✗ or – and advice for each ✗, and as JSON.
import type { Result } from './diagnosis.js';

export interface Look {
  /** Width of the terminal. */
  columns: number;
  colour: boolean;
}

const MARKS = { passed: '✓', failed: '✗', not_applicable: '–' } as const;
const COLOURS = { passed: 32, failed: 31, not_applicable: 90 } as const;
/** Column at which details begin, after the mark and the title. */
const INDENT = 18;
const WIDEST = 100;
const NARROWEST = 40;

export const renderHead = (base: string, look: Look): string =>
  `${paint(`Couplet at ${plain(base)}`, 1, look)}\n\n`;

/** Renders one result. `before` is the previous result; if its ICE server differs, a heading is added. */
export function renderResult(result: Result, before: Result | undefined, look: Look): string {
  const { title, target, status, detail, advice } = result;
  const lines: string[] = [];
  if (target !== (before?.target ?? null)) lines.push('', ...(target ? [plain(target)] : []));
  const label = `${MARKS[status]} ${title}`.padEnd(INDENT);
  const [first = '', ...more] = wrap(detail, look, 0);
  lines.push(paint(label, COLOURS[status], look) + first, ...more.map(indented));
  if (advice !== null) {
    const [start = '', ...rest] = wrap(advice, look, 2);
    lines.push(indented(`→ ${start}`), ...rest.map((line) => indented(`  ${line}`)));
  }
  return `${lines.join('\n')}\n`;
}

export function renderSum(results: readonly Result[], look: Look): string {
  const { passed, failed, notApplicable } = sum(results);
  const rest = `${passed} passed, ${notApplicable} not applicable`;
  const text = failed === 0 ? `No faults: ${rest}.` : `${failed} failed, ${rest}.`;
  return `\n${paint(text, failed === 0 ? COLOURS.passed : COLOURS.failed, look)}\n`;
}

/** Renders the JSON document. Later versions may add fields, but never remove any. */
export function toJson(base: string, results: readonly Result[]): string {
  const { passed, failed, notApplicable } = sum(results);
  const report = { url: base, ok: failed === 0, passed, failed, notApplicable, checks: results };
  return `${JSON.stringify(report, null, 2)}\n`;
}

export const noneFailed = (results: readonly Result[]): boolean => sum(results).failed === 0;

function sum(results: readonly Result[]) {
  const count = (status: Result['status']) => results.filter((r) => r.status === status).length;
  return {
    passed: count('passed'),
    failed: count('failed'),
    notApplicable: count('not_applicable'),
  };
}

const indented = (line: string): string => ' '.repeat(INDENT) + line;

const paint = (text: string, code: number, { colour }: Look): string =>
  colour ? `\u001b[${code}m${text}\u001b[0m` : text;

/** Replaces control characters, because texts from a server must not control the terminal. */
const plain = (text: string): string => text.replace(/\p{C}/gu, '?');

function wrap(text: string, { columns }: Look, less: number): string[] {
  const width = Math.max(NARROWEST, Math.min(columns, WIDEST)) - INDENT - less;
  const lines: string[] = [];
  for (const word of plain(text).split(' ')) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}
