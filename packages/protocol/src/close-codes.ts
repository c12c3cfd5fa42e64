// WebSocket close codes in use: those of RFC 6455 §7.4.1 and the IANA registry, and our own from the private 4000 range.

/** Every close code the server sends, with what the client should make of it. */
export const CLOSE_CODES = {
  policy_violation: { code: 1008, meaning: 'Abuse; do not reconnect without a change.' },
  message_too_big: {
    code: 1009,
    meaning: 'A message was larger than the cap; reconnect, and do not send it again.',
  },
  internal_error: { code: 1011, meaning: 'A bug in the server; reconnect with backoff.' },
  service_restart: { code: 1012, meaning: 'The server is restarting; reconnect with backoff.' },
  try_again_later: { code: 1013, meaning: 'The server is overloaded; reconnect with backoff.' },
  replaced: {
    code: 4001,
    meaning: 'The same device joined again and took this seat over; do not reconnect.',
  },
  slow_consumer: {
    code: 4008,
    meaning: 'Too much was waiting to be read by this client; reconnect.',
  },
} as const satisfies Record<string, { code: number; meaning: string }>;

/** Name of a close code; it is also the reason text of the close frame. */
export type CloseReason = keyof typeof CLOSE_CODES;
