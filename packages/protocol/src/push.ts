// Defines push targets: the addresses at which push services reach devices.
import { MAX_PUSH_TOKEN_BYTES } from './limits.js';
import type { Platform } from './platforms.js';
import { type Static, Type } from './typebox.js';

/** The address of a device at the push service of its platform. */
export interface PushTarget {
  platform: Platform;
  /**
   * Chosen by the client: printable ASCII of at most {@link MAX_PUSH_TOKEN_BYTES} characters, without spaces. For `web`,
   * a {@link WebPushSubscription} as JSON, whose endpoint is any https URL.
   */
  token: string;
}

const base64url = (pattern: string, description: string) =>
  Type.String({ pattern: `^${pattern}$`, description });

/** The members of `PushSubscription.toJSON()` that a push needs; others are ignored. */
export const WebPushSubscription = Type.Object(
  {
    endpoint: Type.String({
      pattern: '^https://[!-~]+$',
      maxLength: MAX_PUSH_TOKEN_BYTES,
      description: 'An https URL without credentials.',
    }),
    keys: Type.Object({
      p256dh: base64url('B[A-Za-z0-9_-]{86}', 'Public key of the browser, base64url.'),
      auth: base64url('[A-Za-z0-9_-]{22}', 'Authentication secret, base64url.'),
    }),
  },
  { description: 'A Push API subscription, as `JSON.stringify(subscription)` writes it.' },
);
export type WebPushSubscription = Static<typeof WebPushSubscription>;

/** The push token in a request; null and the empty string count as absent. */
export const OptionalPushToken = Type.Optional(
  Type.Union([
    Type.String({
      pattern: '^[ -~]*$',
      maxLength: MAX_PUSH_TOKEN_BYTES,
      description:
        'Push token of the device: of APNs in hex, of FCM, or a Push API subscription as JSON text.',
    }),
    WebPushSubscription,
    Type.Null(),
  ]),
);

/** The platform of a push token; `ios` if it is absent, null or empty. */
export const OptionalPlatform = Type.Optional(
  Type.Union([
    Type.Literal('ios'),
    Type.Literal('android'),
    Type.Literal('web'),
    Type.Null(),
    Type.Literal(''),
  ]),
);
