// Runs a Node script at a terminal, reads its output line by line, and types input.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';
import { ROOT } from '../support.js';

export interface Terminal {
  /** Waits for a line that matches; resolves to its first group. Earlier lines are discarded. */
  line(pattern: RegExp): Promise<string>;
  type(line: string): void;
  /** Ends the input, as Ctrl-D does. */
  end(): void;
  /** The exit code. */
  ended: Promise<number | null>;
}

/** Starts a script of this repository; it is killed when the test ends. */
export function openTerminal(args: readonly string[], env: Record<string, string>): Terminal {
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const ended = once(child, 'close').then(([code]) => code as number | null);
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  return {
    ended,
    type: (line) => void child.stdin.write(`${line}\n`),
    end: () => void child.stdin.end(),
    async line(pattern) {
      for (;;) {
        const { value, done } = await lines.next();
        if (done) throw new Error(`no line ${pattern}: ${stderr}`);
        const match = pattern.exec(value);
        if (match) return match[1] ?? value;
      }
    },
  };
}
