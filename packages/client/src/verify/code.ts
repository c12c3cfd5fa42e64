// Creates and reads codes and links, which contain a join code and a secret. Only the join code is sent to the server.
import { base64url } from '../base64url.js';
import { normalizeJoinCode } from '../pairing/join-code.js';
import type { Core } from './core.js';

/** Secret digits of a typed code, and the check digit after them. */
const SECRET_DIGITS = 5;
const LINK_SECRET_BYTES = 16;

/**
 * A quasigroup of order 10, totally anti-symmetric and with zeros on the diagonal (H. M. Damm, 2004). A check digit
 * computed with it detects every wrong digit and every exchange of two neighbors.
 */
const DAMM = [
  '0317598642',
  '7092154863',
  '4206871359',
  '1750983426',
  '6123045978',
  '3674209581',
  '5869720134',
  '8945362017',
  '9438617205',
  '2581436790',
];

/** The secrets of an invite: one to be typed, one in a link. */
export interface Secrets {
  code: string;
  link: string;
}

/** Adds the secrets to a new join code. */
export function secretsFor(joinCode: string): Secrets {
  const [number = 0] = crypto.getRandomValues(new Uint32Array(1));
  // The probabilities of two remainders differ by at most 1 in 40,000.
  const digits = joinCode + String(number % 10 ** SECRET_DIGITS).padStart(SECRET_DIGITS, '0');
  const bytes = crypto.getRandomValues(new Uint8Array(LINK_SECRET_BYTES));
  return { code: digits + checkDigit(digits), link: `${joinCode}.${base64url(bytes)}` };
}

/** A code or link that a person typed, pasted or scanned. */
export interface Given {
  joinCode: string;
  kind: keyof Secrets;
  /** The whole code, as one of `Secrets`. */
  secret: string;
}

/**
 * Reads a code with secret digits, or a link.
 *
 * @param digits number of digits of a join code
 */
export function read({ CoupletError }: Core, text: string, digits: number): Given {
  const [, link = '', joinCode = ''] = /(?:^|#)((\d+)\.[\w-]{22})$/.exec(text.trim()) ?? [];
  if (joinCode.length === digits) return { joinCode, kind: 'link', secret: link };
  const length = digits + SECRET_DIGITS + 1;
  const code = normalizeJoinCode(text, length);
  if (code === undefined) {
    throw new CoupletError('invalid_joinid', `A code has ${digits} or ${length} digits.`);
  }
  if (checkDigit(code) !== 0) {
    throw new CoupletError('code_mistyped', 'A digit is wrong. Check the code.');
  }
  return { joinCode: code.slice(0, digits), kind: 'code', secret: code };
}

/** The check digit of the digits; 0 if their last one is the check digit of the others. */
function checkDigit(digits: string): number {
  let interim = 0;
  for (const digit of digits) interim = Number(DAMM[interim]?.[Number(digit)]);
  return interim;
}
