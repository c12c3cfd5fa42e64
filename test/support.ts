// Shared by the tests of the whole repository: the path of the checkout, and runs of programs.
import { type SpawnSyncOptions, spawnSync } from 'node:child_process';
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
