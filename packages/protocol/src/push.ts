// Defines the platforms whose devices a push notification can wake, and the address of such a device.

export type Platform = 'ios' | 'android' | 'web';

/** Where a push notification for a device is sent. */
export interface PushTarget {
  platform: Platform;
  /** `ios`: APNs device token. `android`: FCM registration token. `web`: subscription of the Push API as JSON. */
  token: string;
}
