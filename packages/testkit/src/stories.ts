// Reads tables of stories. A story is a test in words: a title, and steps with their outcomes.
//
// The file that carries out the steps of a table explains them at its top: wire-stories.ts (clients of a whole server), and in
// packages/server/test: contract/pairing-store.ts and support/two-nodes.ts. A step that is unknown fails.

/**
 * Splits a table into its rows, `title: step; step; …`. Deeper indented lines continue a row.
 *
 * @param table - a template literal that begins and ends with a line break
 */
export function rowsOf(table: string): [title: string, script: string][] {
  const [, indent = ''] = /^\n( *)/.exec(table) ?? [];
  const rows = table.trim().split(new RegExp(`\\n${indent}(?! )`));
  return rows.map((row) => {
    const [, title, script] = /^(.*?):\s+(.*)$/s.exec(row) ?? [];
    if (title === undefined || script === undefined) throw new Error(`no story: ${row}`);
    return [title, script];
  });
}

export const stepsOf = (script: string): string[] => script.split(/;\s+/);
