// Makes request ids: short, unique across restarts, and never from the client, because its value could identify a user.
import { randomBytes } from 'node:crypto';

export function requestIds(): () => string {
  const run = randomBytes(3).toString('hex');
  let count = 0;
  return () => `${run}-${(++count).toString(36)}`;
}
