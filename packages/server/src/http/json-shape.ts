// Parses JSON of bounded depth and number of values. A scan of the text checks both before any object is created.
import { MAX_JSON_DEPTH, MAX_JSON_VALUES } from '@couplet/protocol';

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * Whether the text, if it is JSON, nests at most MAX_JSON_DEPTH levels deep and has at most `maxValues` values. Takes
 * one pass, allocates nothing, and stops when a bound is exceeded. For a text that is not JSON, the result has no meaning.
 */
export function isModestJson(text: string, maxValues = MAX_JSON_VALUES): boolean {
  let depth = 0;
  let values = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(text, at);
        break;
      case OPEN_ARRAY:
      case OPEN_OBJECT:
        depth += 1;
        values += 1;
        break;
      case CLOSE_ARRAY:
      case CLOSE_OBJECT:
        depth -= 1;
        break;
      case COMMA:
        values += 1;
        break;
    }
    if (depth > MAX_JSON_DEPTH || values > maxValues) return false;
  }
  return true;
}

/** Returns the end of the string that begins at `at`: its closing quote, or the end of the text. */
export function endOfString(text: string, at: number): number {
  for (let quote = text.indexOf('"', at + 1); ; quote = text.indexOf('"', quote + 1)) {
    if (quote < 0) return text.length;
    let backslashes = 0;
    while (text.charCodeAt(quote - 1 - backslashes) === BACKSLASH) backslashes += 1;
    // After an odd number of backslashes, the quote is escaped.
    if (backslashes % 2 === 0) return quote;
  }
}

/**
 * Parses JSON from outside.
 *
 * @throws SyntaxError if the text is not JSON, is too deep or has too many values
 */
export function parseModestJson(text: string, maxValues?: number): unknown {
  if (!isModestJson(text, maxValues)) throw new SyntaxError('too deep or too wide');
  return JSON.parse(text);
}
