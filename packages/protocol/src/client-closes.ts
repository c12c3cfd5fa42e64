// Close codes that change what a client does. Apart from the others, so that a client does not load them all.
export const CLIENT_CLOSES = {
  policy_violation: { code: 1008 },
  message_too_big: { code: 1009 },
  replaced: { code: 4001 },
} as const satisfies Record<string, { code: number }>;
