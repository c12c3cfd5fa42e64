// Signs JSON Web Tokens (RFC 7519) with ES256 or RS256 (RFC 7518 §3.3, §3.4).
import { type KeyObject, sign } from 'node:crypto';

export function signedJwt(
  header: { alg: 'ES256' | 'RS256'; kid?: string },
  claims: Readonly<Record<string, string | number>>,
  key: KeyObject,
): string {
  const content = `${base64url({ typ: 'JWT', ...header })}.${base64url(claims)}`;
  // The encoding applies to ES256 only. Without it, the signature would be DER, which no verifier of tokens accepts.
  const signature = sign('sha256', Buffer.from(content), { key, dsaEncoding: 'ieee-p1363' });
  return `${content}.${signature.toString('base64url')}`;
}

const base64url = (value: object): string =>
  Buffer.from(JSON.stringify(value)).toString('base64url');
