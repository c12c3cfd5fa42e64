// Parses and formats join codes: typed in groups, pasted with a link, or read by a screen reader.
import { normalizeJoinCode } from '@couplet/client';

/** Digits that a verified code has more than a plain one. */
export const VERIFIED_DIGITS = 6;

/**
 * The code in typed or pasted text, or in a link that contains it; undefined if there is none. Of a verified link, returns
 * the part with the secret.
 */
export function codeIn(text: string, digits: number): string | undefined {
  const secret = /#(\d+\.[\w-]{22})(?![\w-])/.exec(text)?.[1];
  if (secret !== undefined) return secret;
  const normalize = (typed: string) =>
    normalizeJoinCode(typed, digits) ?? normalizeJoinCode(typed, digits + VERIFIED_DIGITS);
  const inLink = /#code=([^&]*)/.exec(text)?.[1];
  if (inLink === undefined) return normalize(text);
  const decoded = percentDecoded(inLink);
  // Text may follow the link. A code that contains spaces is found too, if that text begins with a letter.
  const [upToSpace = ''] = decoded.split(/\s/, 1);
  const [upToLetter = ''] = decoded.split(/\p{L}/u, 1);
  return normalize(upToSpace) ?? normalize(upToLetter);
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Malformed percent-encoding: use the text unchanged.
    return text;
  }
}

/** Returns the link of a plain code. The code is in the fragment, which browsers do not send, so it appears in no server log. */
export const joinLink = (page: string, code: string): string =>
  `${page.replace(/#.*$/, '')}#code=${code}`;

/** Groups the digits: six as in `123 456`, more in groups of four, as in `0421 3748 2910`. */
export const grouped = (code: string): string =>
  code.replace(code.length === 6 ? /.{3}(?=.)/g : /.{4}(?=.)/g, '$& ');

/** Formats a code for screen readers: digit by digit, with a pause between the groups. */
export const spoken = (code: string): string =>
  grouped(code)
    .split(' ')
    .map((group) => [...group].join(' '))
    .join(', ');
