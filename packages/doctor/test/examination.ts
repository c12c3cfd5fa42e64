// The doctor at work in a test: its results by check and ICE server, and what a person would have read.
import { expect } from 'vitest';
import { doctor } from '../src/command.js';
import type { Result } from '../src/diagnosis.js';

export interface Examination {
  code: number;
  results: Result[];
  /** `id` → result, of the server itself or of one ICE server. */
  of(id: string, target?: string): Result | undefined;
  /** `id` of everything that failed, with its ICE server. */
  failed: string[];
}

export interface ExamineOptions {
  ca?: string;
  origin?: string;
  /** Time for one check; long enough for what succeeds on loopback. */
  limitMs?: number;
  stop?: AbortSignal;
}

const never = new AbortController().signal;

/** Examines a server; every ✗ must say what to do. */
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

/** The same as text, as a terminal of this width shows it. */
export async function readAloud(
  url: string,
  {
    columns = 80,
    colour = false,
    ...deps
  }: { columns?: number; colour?: boolean; ca?: string; limitMs?: number } = {},
): Promise<string> {
  let written = '';
  const write = (text: string) => {
    written += text;
  };
  await doctor([url], { write, look: { columns, colour }, stop: never, ...deps });
  return written;
}

export const failure = (detail: string | RegExp, advice: string | RegExp) => ({
  status: 'failed',
  detail: expect.stringMatching(detail),
  advice: expect.stringMatching(advice),
});
