// Tests of real programs: named as skipped where the program is missing (npm test says how to get it).
import { describe } from 'vitest';

const missing = new Set((process.env.COUPLET_MISSING ?? '').split(',').filter(Boolean));

/** Describes tests that need these programs; skipped, by name, where one is missing. */
export function describeWith(programs: readonly string[], name: string, body: () => void): void {
  const absent = programs.filter((program) => missing.has(program));
  if (absent.length === 0) describe(name, body);
  else describe.skip(`${name} (needs ${absent.join(', ')})`, body);
}
