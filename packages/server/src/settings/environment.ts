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
  const settings = [...SETTINGS.keys()];
  return Object.keys(file).flatMap((name) => {
    if (SETTINGS.has(name)) return [];
    const near = (edits: number) =>
      settings.find(
        (setting) => edits <= setting.length / 4 && areWithin(name.toUpperCase(), setting, edits),
      );
    const nearest = near(1) ?? near(2);
    return nearest === undefined
      ? []
      : [`.env: ${name} is not a setting; did you mean ${nearest}?`];
  });
}

/** Whether so many edits suffice between two texts: to insert, delete or replace a letter, or swap it with the next one. */
function areWithin(a: string, b: string, edits: number): boolean {
  if (a === b) return true;
  if (a !== '' && a[0] === b[0]) return areWithin(a.slice(1), b.slice(1), edits);
  if (edits === 0) return false;
  const isSwapped = a[0] === b[1] && a[1] === b[0];
  return (
    areWithin(a.slice(1), b, edits - 1) ||
    areWithin(a, b.slice(1), edits - 1) ||
    areWithin(a.slice(1), b.slice(1), edits - 1) ||
    (isSwapped && areWithin(a.slice(2), b.slice(2), edits - 1))
  );
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
