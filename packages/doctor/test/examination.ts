// Runs the doctor in a test, and provides its results by check and ICE server.
import { expect } from 'vitest';
import { doctor } from '../src/command.js';
import type { Result } from '../src/diagnosis.js';

export interface Examination {
  code: number;
  results: Result[];
  /** Returns the result of a check of the server itself or of one ICE server. */
  of(id: string, target?: string): Result | undefined;
  /** The `id` of each failed check, with its ICE server. */
  failed: string[];
}

export interface ExamineOptions {
  ca?: string;
  origin?: string;
  /** Time limit of one check. Long enough for checks that succeed on loopback. */
  limitMs?: number;
  stop?: AbortSignal;
}

const never = new AbortController().signal;

/** Tests a server, and asserts that every ✗ has advice. */
export async function examine(url: string, options: ExamineOptions = {}): Promise<Examination> {
  const { origin, stop = never, ...deps } = options;
  let written = '';
  const write = (text: string) => {
    written += text;
  };
  const args = ['--json', ...(origin ? ['--origin', origin] : []), url];
  const code = await doctor(args, { write, look: { columns: 80, colour: false }, stop, ...deps });
  const { checks: results } = JSON.parse(written) as { checks: Result[] };
  for (const { status, advice } of results) {
    expect(advice === null).toBe(status !== 'failed');
  }
  return {
    code,
    results,
    of: (id, target) => results.find((r) => r.id === id && r.target === (target ?? null)),
    failed: results
      .filter(({ status }) => status === 'failed')
      .map(({ id, target }) => (target ? `${id} ${target}` : id)),
  };
}

export const failure = (detail: string | RegExp, advice: string | RegExp) => ({
  status: 'failed',
  detail: expect.stringMatching(detail),
  advice: expect.stringMatching(advice),
});
