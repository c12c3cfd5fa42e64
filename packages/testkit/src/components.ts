// Describes tests that need real programs; they are skipped by name if one is missing (npm test says how to install it).
import { describe } from 'vitest';

const missing = new Set((process.env.COUPLET_MISSING ?? '').split(',').filter(Boolean));

/** Describes tests that need these programs; skipped, with their names, if one is missing. */
export function describeWith(programs: readonly string[], name: string, body: () => void): void {
  const absent = programs.filter((program) => missing.has(program));
  if (absent.length === 0) describe(name, body);
  else describe.skip(`${name} (needs ${absent.join(', ')})`, body);
}
