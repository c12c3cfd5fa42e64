// Defines the content of a notification, which is the same for all push services.

/** What the user reads. */
export const ALERT = 'Your chat partner is waiting';

/** Apps recognize the notification by this type. */
export const TYPE = 'presence';

/** How long a push service keeps trying to reach a device, in seconds. Later, the waiting peer has probably given up. */
export const LIFETIME_SECONDS = 300;
