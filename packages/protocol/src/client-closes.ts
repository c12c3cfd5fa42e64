// Lists the close codes that clients handle specially. Separate, so that clients do not load the others.
export const CLIENT_CLOSES = {
  policy_violation: { code: 1008 },
  message_too_big: { code: 1009 },
  replaced: { code: 4001 },
} as const satisfies Record<string, { code: number }>;
