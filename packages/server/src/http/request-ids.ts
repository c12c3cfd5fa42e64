// Request ids: short, unique across restarts, and never taken from the client, who could put an identifying value there.
import { randomBytes } from 'node:crypto';

export function requestIds(): () => string {
  const run = randomBytes(3).toString('hex');
  let count = 0;
  return () => `${run}-${(++count).toString(36)}`;
}
