// Runs a program, waits for texts in its output, and types input.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { onTestFinished } from 'vitest';
import { ROOT } from '../support.js';

/** Starts a program in this repository, by default; `endBy` ends it with the test. */
export function runProgram(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  { cwd = ROOT, endBy = 'SIGKILL' as NodeJS.Signals } = {},
) {
  const child = spawn(program, args, { cwd, env: { PATH: process.env.PATH, ...env } });
  let output = '';
  let isOver = false;
  let wake = () => {};
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      wake();
    });
  }
  // The output ends when the last process that could write to it has ended, at any depth.
  const ended = once(child, 'close').then(([code]) => {
    isOver = true;
    wake();
    return code as number | null;
  });
  onTestFinished(async () => {
    child.kill(endBy);
    await ended;
  });
  return {
    child,
    /** The exit code. */
    ended,
    /** Its output so far, with that to stderr. */
    output: () => output,
    type: (keys: string) => void child.stdin.write(keys),
    /** Waits until the output matches; resolves to the first group. Wait for one pattern at a time. */
    async shows(pattern: RegExp): Promise<string> {
      for (;;) {
        const match = pattern.exec(output);
        if (match) return match[1] ?? match[0];
        if (isOver) throw new Error(`no ${pattern}:\n${output}`);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}
