// Merges the environment of the process with other sources of settings, and parses `.env`.
import { ConfigError, isSet, SETTINGS } from './config.js';

export type Environment = Record<string, string | undefined>;

/** Merges the variables of all sources. The first source in which a variable is set wins. */
export function layered(...sources: readonly Environment[]): Environment {
  const set = sources.map((source) =>
    Object.entries(source).filter(([name, text]) => isSet(name, text)),
  );
  return Object.fromEntries(set.reverse().flat());
}

/**
 * An empty line, a comment, or `NAME=value`. A value in quotes may have several lines. Without quotes, a comment begins at
 * a `#` after white space, as in Docker Compose. Node's `parseEnv` is not used because it cuts a password at any `#`.
 */
const STATEMENT =
  /[ \t]*(?:#.*|(?:export[ \t]+)?([A-Za-z_][\w.-]*)[ \t]*=[ \t]*(?:("[^"]*"|'[^']*'|`[^`]*`)[ \t]*(?:#.*)?|((?:[^\s"'`#]|(?<==)#).*?)?[ \t]*(?:(?<=\s)#.*)?))?(?:\n|$)/y;

/**
 * Parses a `.env` file in UTF-8 or UTF-16, with or without a byte order mark, with any line ends.
 *
 * @throws {@link ConfigError} with the number of each line that cannot be parsed; it quotes no line
 */
export function parseDotEnv(bytes: Uint8Array): Environment {
  const text = decode(bytes).replace(/\r\n?/g, '\n');
  const faults: string[] = [];
  const variables: [string, string][] = [];
  for (let at = 0; at < text.length; ) {
    STATEMENT.lastIndex = at;
    const statement = STATEMENT.exec(text);
    if (statement === null) {
      const line = text.slice(0, at).split('\n').length;
      faults.push(`.env: line ${line}: expected NAME=value, or a comment that begins with #`);
      at = endOfLine(text, at);
    } else {
      const [, name, quoted, plain = ''] = statement;
      if (name !== undefined) variables.push([name, quoted ? unquoted(quoted) : plain]);
      at = STATEMENT.lastIndex;
    }
  }
  if (faults.length > 0) throw new ConfigError(faults.slice(0, MAX_FAULTS));
  return Object.fromEntries(variables);
}

/** Returns a warning for each variable of `.env` that is unknown, but close to the name of a setting. */
export function misspelled(file: Environment): string[] {
  return Object.keys(file).flatMap((name) => {
    if (SETTINGS.has(name)) return [];
    const [nearest] = [...SETTINGS.keys()]
      .map((setting) => ({ setting, edits: distance(name.toUpperCase(), setting) }))
      .filter(({ setting, edits }) => edits <= Math.min(2, setting.length / 4))
      .sort((one, other) => one.edits - other.edits);
    return nearest === undefined
      ? []
      : [`.env: ${name} is not a setting; did you mean ${nearest.setting}?`];
  });
}

/** The optimal string alignment distance: how many letters to insert, delete, replace, or swap with the next one. */
function distance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, n) => n)];
  const at = (i: number, j: number) => rows[i]?.[j] as number;
  for (let i = 1; i <= a.length; i++) {
    rows.push([i]);
    for (let j = 1; j <= b.length; j++) {
      const isSwapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const edits = [at(i, j - 1) + 1, at(i - 1, j) + 1];
      edits.push(at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1));
      if (isSwapped && i > 1 && j > 1) edits.push(at(i - 2, j - 2) + 1);
      rows[i]?.push(Math.min(...edits));
    }
  }
  return at(a.length, b.length);
}

const unquoted = (value: string): string => {
  const text = value.slice(1, -1);
  return value.startsWith('"') ? text.replaceAll('\\n', '\n') : text;
};

/** Bounds the report for a file of another format, in which every line has a fault. */
const MAX_FAULTS = 10;

const endOfLine = (text: string, at: number): number => {
  const end = text.indexOf('\n', at);
  return end < 0 ? text.length : end + 1;
};

/** On Windows, a redirection in PowerShell writes UTF-16, and Notepad writes a byte order mark. */
function decode(bytes: Uint8Array): string {
  const [first, second] = bytes;
  // Without a byte order mark, the position of the zero byte shows the encoding.
  const isLittle = (first === 0xff && second === 0xfe) || second === 0;
  const isBig = (first === 0xfe && second === 0xff) || first === 0;
  const encoding = isLittle ? 'utf-16le' : isBig ? 'utf-16be' : 'utf-8';
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    throw new ConfigError(['.env: is neither UTF-8 nor UTF-16; save it as UTF-8']);
  }
}
