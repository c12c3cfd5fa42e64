// Shared by the tests of the whole repository: the path of the checkout, runs of programs, and readers of documents: text by path,
// tables by heading, fenced blocks by language.
import { type SpawnSyncOptions, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The path of the checkout, with a slash at the end. */
export const ROOT = fileURLToPath(new URL('../', import.meta.url));

/** Runs a program and returns its output; fails with all output if the exit code is not 0. */
export function run(program: string, args: readonly string[], options: SpawnSyncOptions = {}) {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd: ROOT,
    ...options,
    encoding: 'utf8',
  });
  if (status !== 0) {
    const reason = error?.message ?? `ended with ${status}`;
    throw new Error(`${program} ${args.join(' ')}: ${reason}\n${stdout}${stderr}`);
  }
  return { stdout, stderr };
}

/** The names of the files of the repository: committed ones, and new ones that are not ignored. */
export const repositoryFiles = (): string[] =>
  run('git', ['ls-files', '-z', '-co', '--exclude-standard']).stdout.split('\0').filter(Boolean);

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
