// How long to wait, as the header Retry-After says it (RFC 9110 §10.2.3): the server in seconds, a proxy perhaps by a date.

/** Undefined where the header is missing, or says nothing. */
export function retryAfterSecondsOf(header: string | null, nowMs: number): number | undefined {
  if (!header) return undefined;
  if (/^\d+$/.test(header)) return Number(header);
  const seconds = Math.ceil((Date.parse(header) - nowMs) / 1000);
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds);
}
