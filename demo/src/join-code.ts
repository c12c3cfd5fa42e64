// Join codes as people meet them: typed with spaces, pasted with the whole link, read out in groups.

/** The code in what was typed or pasted: digits however grouped, or a link that holds it. Undefined where there is none. */
export function codeIn(text: string, digits: number): string | undefined {
  const fromLink = /#code=(\d+)/.exec(text)?.[1];
  const code = fromLink ?? text.replace(/[\s.\-–—_]/g, '');
  return /^\d+$/.test(code) && code.length === digits ? code : undefined;
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
