// Parses and formats join codes: typed in groups, pasted with a link, or read by a screen reader.
import { normalizeJoinCode } from '@couplet/client';

/** The code in typed or pasted text, or in a link that contains it; undefined if there is none. */
export function codeIn(text: string, digits: number): string | undefined {
  const inLink = /#code=([^&]*)/.exec(text)?.[1];
  if (inLink === undefined) return normalizeJoinCode(text, digits);
  const decoded = percentDecoded(inLink);
  // Text may follow the link. A code that contains spaces is found too, if that text begins with a letter.
  const [upToSpace = ''] = decoded.split(/\s/, 1);
  const [upToLetter = ''] = decoded.split(/\p{L}/u, 1);
  return normalizeJoinCode(upToSpace, digits) ?? normalizeJoinCode(upToLetter, digits);
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Malformed percent-encoding: use the text unchanged.
    return text;
  }
}

/** Returns the join link. The code is in the fragment, which browsers do not send, so it appears in no server log. */
export const joinLink = (page: string, code: string): string =>
  `${page.replace(/#.*$/, '')}#code=${code}`;

/** Groups the digits as in `123 456`: in threes if the length allows it, otherwise in fours or twos. */
export function grouped(code: string): string {
  const size = [3, 4, 2].find((size) => code.length % size === 0) ?? code.length;
  return code.match(new RegExp(`.{1,${size}}`, 'g'))?.join(' ') ?? code;
}

/** Formats a code for screen readers: digit by digit, with a pause between the groups. */
export const spoken = (code: string): string =>
  grouped(code)
    .split(' ')
    .map((group) => [...group].join(' '))
    .join(', ');
