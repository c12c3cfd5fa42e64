// Reads tables of stories: tests that say in words what happens and what comes of it, for many tests over one world.

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
