// Reads and writes join codes as people handle them: typed in groups, pasted with the whole link, read aloud.
import { normalizeJoinCode } from '@couplet/client';

/** The code in typed or pasted text, or in a link that contains it; undefined if there is none. */
export function codeIn(text: string, digits: number): string | undefined {
  const inLink = /#code=([^&]*)/.exec(text)?.[1];
  if (inLink === undefined) return normalizeJoinCode(text, digits);
  const decoded = percentDecoded(inLink);
  // Text may follow the link. A code with spaces in it is found too, if that text begins with a letter.
  const [upToSpace = ''] = decoded.split(/\s/, 1);
  const [upToLetter = ''] = decoded.split(/\p{L}/u, 1);
  return normalizeJoinCode(upToSpace, digits) ?? normalizeJoinCode(upToLetter, digits);
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A percent sign that encodes nothing: the text as it is.
    return text;
  }
}

/** The link that joins. The code is in the fragment: browsers send that to no server, so no log ever has it. */
export const joinLink = (page: string, code: string): string =>
  `${page.replace(/#.*$/, '')}#code=${code}`;

/** `123 456`: in threes where that comes out even, in fours or twos otherwise, and never a last digit alone. */
export function grouped(code: string): string {
  const size = [3, 4, 2].find((size) => code.length % size === 0) ?? code.length;
  return code.match(new RegExp(`.{1,${size}}`, 'g'))?.join(' ') ?? code;
}

/** Digit by digit, with a pause between the groups: what a screen reader is to say. */
export const spoken = (code: string): string =>
  grouped(code)
    .split(' ')
    .map((group) => [...group].join(' '))
    .join(', ');
