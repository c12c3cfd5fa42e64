// Normalizes a join code that a person typed or pasted.
import { JOIN_CODE_DIGITS } from '@couplet/protocol';

/** Invisible characters (`DI`: default ignorable code points), spaces, punctuation, combining marks, and characters that look like a hyphen. */
const IGNORED = /[\p{DI}\p{C}\p{Z}\p{P}\p{M}−➖─⠀˗ー]/gu;
const DIGIT = /^\p{Nd}$/u;

/**
 * Converts typed text to the ASCII digits of a join code. Accepts digits of any script, including full-width and enclosed
 * digits. Ignores spaces, hyphens, other punctuation and invisible characters.
 *
 * @param digits number of digits in a code: the server's `JOIN_CODE_DIGITS`. Defaults to 6.
 * @returns undefined if the text contains letters or symbols, or has a different number of digits
 */
export function normalizeJoinCode(text: string, digits = JOIN_CODE_DIGITS): string | undefined {
  const code = Array.from(String(text).normalize('NFKC').replace(IGNORED, ''), digitOf).join('');
  return code.length === digits && /^\d+$/.test(code) ? code : undefined;
}

/** Converts a decimal digit of any script to ASCII. Returns any other character unchanged. */
function digitOf(character: string): string {
  if (!DIGIT.test(character)) return character;
  // Each script has its ten digits at consecutive code points, from zero to nine (Unicode Standard §4.6). Some of these
  // ranges are adjacent.
  const point = character.codePointAt(0) as number;
  let first = point;
  while (DIGIT.test(String.fromCodePoint(first - 1))) first--;
  return String((point - first) % 10);
}
