// Lists the WebSocket close codes in use: from RFC 6455 §7.4.1, the IANA registry, and the private range from 4000.
import { CLIENT_CLOSES } from './client-closes.js';

/** Every close code that the server sends. `CLOSE_MEANINGS` has the meanings. */
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
