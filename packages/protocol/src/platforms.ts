// Defines the platforms of push notifications.

/** `ios`: APNs; `android`: FCM; `web`: Web Push (RFC 8030). */
export const PLATFORMS = ['ios', 'android', 'web'] as const;
export type Platform = (typeof PLATFORMS)[number];
