// WebSocket close codes in use: those of RFC 6455 §7.4.1 and the IANA registry, and our own from the private 4000 range.

/** Every close code that the server sends. What a client makes of it: `CLOSE_MEANINGS`. */
export const CLOSE_CODES = {
  policy_violation: { code: 1008 },
  message_too_big: { code: 1009 },
  internal_error: { code: 1011 },
  service_restart: { code: 1012 },
  try_again_later: { code: 1013 },
  replaced: { code: 4001 },
  slow_consumer: { code: 4008 },
} as const satisfies Record<string, { code: number }>;

/** Name of a close code; it is also the reason text of the close frame. */
export type CloseReason = keyof typeof CLOSE_CODES;
