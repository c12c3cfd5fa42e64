// Reads a join code from text that a person typed or pasted.
import { JOIN_CODE_DIGITS } from '@couplet/protocol';

/** Invisible characters, spaces, punctuation, combining marks, and signs that look like a hyphen without being one. */
const IGNORED = /[\p{Default_Ignorable_Code_Point}\p{C}\p{Z}\p{P}\p{M}−➖─⠀˗ー]/gu;
const DIGIT = /^\p{Nd}$/u;

/**
 * Converts what a person typed into the ASCII digits of a join code. Digits of any script count, full-width and
 * enclosed ones included. Spaces, hyphens, other punctuation and invisible characters are ignored.
 *
 * @param digits number of digits of a code, 6 by default (`JOIN_CODE_DIGITS` of the server)
 * @returns undefined if the text contains letters or symbols, or another number of digits
 */
export function normalizeJoinCode(text: string, digits = JOIN_CODE_DIGITS): string | undefined {
  const code = Array.from(String(text).normalize('NFKC').replace(IGNORED, ''), digitOf).join('');
  return code.length === digits && /^\d+$/.test(code) ? code : undefined;
}

/** The ASCII digit for a decimal digit of any script; any other character unchanged. */
function digitOf(character: string): string {
  if (!DIGIT.test(character)) return character;
  // Every script has its ten digits in a row, from zero to nine (Unicode Standard §4.6). Some rows are adjacent.
  const point = character.codePointAt(0) as number;
  let first = point;
  while (DIGIT.test(String.fromCodePoint(first - 1))) first--;
  return String((point - first) % 10);
}
