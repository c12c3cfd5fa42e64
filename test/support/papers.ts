// Reads documents for tests: text by path, tables by heading, fenced blocks by language.
import { readFileSync } from 'node:fs';
import { ROOT } from '../support.js';

export { ROOT };

export const read = (path: string): string => readFileSync(ROOT + path, 'utf8');

/** The text under a heading, up to the next heading of the same or a higher level. */
export function section(paper: string, heading: string): string {
  const lines = paper.split('\n');
  const start = lines.indexOf(heading);
  if (start < 0) throw new Error(`no heading ${heading}`);
  const level = heading.indexOf(' ');
  const rest = lines.slice(start + 1);
  const end = rest.findIndex((line) => /^#+ /.test(line) && line.indexOf(' ') <= level);
  return rest.slice(0, end < 0 ? undefined : end).join('\n');
}

/** The rows of the first table in a text, as cells, without the header. */
export function tableRows(text: string): string[][] {
  const lines = text.split('\n');
  const rule = lines.findIndex((line) => /^\|[-:|]+\|$/.test(line));
  if (rule < 0) throw new Error('no table');
  const rest = lines.slice(rule + 1);
  const end = rest.findIndex((line) => !line.startsWith('|'));
  return rest.slice(0, end < 0 ? undefined : end).map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  );
}

/** The texts between backticks. */
export const quoted = (text: string): string[] =>
  Array.from(text.matchAll(/`([^`]+)`/g), (match) => match[1] as string);

/** The fenced blocks of a language. */
export const blocks = (paper: string, language: string): string[] =>
  Array.from(
    paper.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm')),
    (match) => match[1] as string,
  );
