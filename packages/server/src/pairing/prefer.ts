// The `Prefer` header, as far as we honour it: `wait=N` (RFC 7240 §4.3).
import { MAX_WAIT_SECONDS } from '@couplet/protocol';

const WAIT = /(?:^|,)\s*wait\s*=\s*"?(\d+)"?\s*(?=$|[,;])/i;

/** Seconds that the client is ready to wait, at most {@link MAX_WAIT_SECONDS}; undefined where it did not say. */
export function preferredWaitSeconds(header: string | undefined): number | undefined {
  const seconds = header === undefined ? undefined : WAIT.exec(header)?.[1];
  return seconds === undefined ? undefined : Math.min(Number(seconds), MAX_WAIT_SECONDS);
}
