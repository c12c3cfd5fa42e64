// Reads the access token of the application.
import { onAbort } from './abort.js';
import { errorOf } from './errors.js';

/** An access token, or a function that returns the current one. */
export type Token = string | (() => string | Promise<string>);

/**
 * Resolves to the token. Rejects with `token_failed` if the function fails, or if the result is not a bearer token
 * (RFC 6750 §2.1). Platforms refuse to send other texts, and some repeat them in the message of the error.
 */
export async function currentToken(token: Token, signal?: AbortSignal | null): Promise<string> {
  try {
    const text: unknown = await Promise.race([
      typeof token === 'function' ? token() : token,
      new Promise((_, reject) => onAbort(signal, reject)),
    ]);
    if (typeof text === 'string' && /^[\w.~+/-]+=*$/.test(text)) return text;
    throw new TypeError('invalid token');
  } catch (cause) {
    throw errorOf('token_failed', cause);
  }
}
