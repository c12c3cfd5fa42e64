// Defines the interface that wakes devices.
import type { Platform, PushTarget } from '@couplet/protocol';
import type { Services } from '../observability/services.js';

/**
 * sent: the push service has accepted the notification. dead: the token is no longer valid. failed: not sent; the
 * metrics have the cause. dropped: not tried, because too many notifications wait, the push service
 * keeps failing, or the notification is no longer needed.
 */
export interface PushOutcome {
  kind: 'sent' | 'dead' | 'failed' | 'dropped';
}

/** Wakes devices by push notifications. */
export interface Notifier {
  /** Platforms whose devices can be woken. Empty: nothing is ever sent. */
  readonly platforms: ReadonlySet<Platform>;
  /** The public key with which browsers subscribe (RFC 8292 §3.2); undefined if `platforms` has no `web`, or a webhook serves it. */
  readonly vapidPublicKey?: string | undefined;
  /**
   * Tells a device that its peer waits in a room. Never rejects. The number of waiting notifications is bounded.
   *
   * @param isNeeded - called before each attempt; false once the device has joined
   */
  notify(target: PushTarget, roomId: string, isNeeded?: () => boolean): Promise<PushOutcome>;
  /** Ends all notifications that wait or are being sent. */
  close(): Promise<void>;
}

export interface NotifierDeps extends Services {
  /** Certificates to trust instead of those of Node.js. */
  ca?: string;
}

/** The notifier of a server without push services. */
export const NO_NOTIFIER: Notifier = {
  platforms: new Set(),
  notify: async () => ({ kind: 'dropped' }),
  close: async () => {},
};
