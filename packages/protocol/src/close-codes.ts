// WebSocket close codes in use: those of RFC 6455 §7.4.1 and the IANA registry, and our own from the private 4000 range.
import { CLIENT_CLOSES } from './client-closes.js';

/** Every close code that the server sends. What a client makes of it: `CLOSE_MEANINGS`. */
export const CLOSE_CODES = {
  policy_violation: CLIENT_CLOSES.policy_violation,
  message_too_big: CLIENT_CLOSES.message_too_big,
  internal_error: { code: 1011 },
  service_restart: { code: 1012 },
  try_again_later: { code: 1013 },
  replaced: CLIENT_CLOSES.replaced,
  slow_consumer: { code: 4008 },
} as const satisfies Record<string, { code: number }>;

/** Name of a close code; it is also the reason text of the close frame. */
export type CloseReason = keyof typeof CLOSE_CODES;
