// Declares the settings of push notifications.
import { type Static, Type } from '@couplet/protocol/typebox';
import { integer, text, texts } from './kinds.js';

/** A path. Text without a dot or slash is more likely a mistake, such as a key id. */
const PATH = '[^\\n]*[./\\\\][^\\n]*';
const HOST_NAME = '(\\*\\.)?[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\\.[A-Za-z0-9-]+)*(:\\d{1,5})?';

/** Part of `ConfigSchema`. */
export const PUSH_SETTINGS = {
  apnsKey: text('APNS_KEY', {
    form: `-----BEGIN [^]+|${PATH}`,
    secret: true,
    description:
      'Key of the Apple Push Notification service (APNs), which wakes iOS devices: path of the `.p8` file, or its content. Empty: off.',
  }),
  apnsKeyId: text('APNS_KEY_ID', {
    form: '[A-Z0-9]{10}',
    description:
      'Key id of APNS_KEY: ten characters, which are also part of the name of the downloaded file.',
  }),
  apnsTeamId: text('APNS_TEAM_ID', {
    form: '[A-Z0-9]{10}',
    description: 'Team id of the Apple developer account: ten characters.',
  }),
  apnsTopic: text('APNS_TOPIC', {
    form: '[A-Za-z0-9.-]{1,155}',
    description: 'Bundle id of the iOS app, such as `org.example.app`.',
  }),
  apnsServer: text('APNS_SERVER', {
    default: 'production',
    form: 'production|sandbox|https://[^\\s/]+',
    description:
      'Server of APNs. production: for apps from TestFlight and the App Store. sandbox: for apps that Xcode installs. An https:// URL without a path: a server of your own.',
  }),
  fcmServiceAccount: text('FCM_SERVICE_ACCOUNT', {
    form: `\\{[^]+|${PATH}`,
    secret: true,
    description:
      'Service account of Firebase Cloud Messaging (FCM), which wakes Android devices: path of the JSON file, or its content. Empty: off.',
  }),
  fcmUrl: text('FCM_URL', {
    default: 'https://fcm.googleapis.com',
    form: 'https?://[^\\s/]+',
    description: 'Server of Firebase Cloud Messaging, as a URL without a path.',
  }),
  vapidPrivateKey: text('VAPID_PRIVATE_KEY', {
    form: '[A-Za-z0-9_-]{43}',
    secret: true,
    description:
      'Private key of Web Push (RFC 8292), which wakes browsers: 32 bytes in base64url. The public key is calculated from it. After a change, browsers must subscribe again. Empty: off.',
  }),
  vapidSubject: text('VAPID_SUBJECT', {
    form: 'mailto:[^\\s@]+@[^\\s@]+|https://\\S+',
    description:
      'Contact for the operators of push services: `mailto:admin@example.org`, or an https:// URL.',
  }),
  webPushHosts: texts('WEB_PUSH_HOSTS', {
    form: HOST_NAME,
    description:
      'Further hosts of Web Push services, comma-separated: `push.example.org`, or `*.example.org` for all names below it. The services of Chrome, Edge, Firefox and Safari are always allowed. The server sends nothing to other hosts, because a client could name any server in your network.',
  }),
  pushWebhookUrl: text('PUSH_WEBHOOK_URL', {
    form: 'https?://\\S+',
    secret: true,
    description:
      'URL of your own program for push notifications. It gets those for platforms without APNS_KEY, FCM_SERVICE_ACCOUNT or VAPID_PRIVATE_KEY. Empty: off.',
  }),
  pushWebhookSecret: text('PUSH_WEBHOOK_SECRET', {
    form: 'whsec_[A-Za-z0-9+/]{32,}={0,2}',
    secret: true,
    description:
      'Secret with which requests to PUSH_WEBHOOK_URL are signed: `whsec_` and at least 24 bytes in base64.',
  }),
  pushIntervalSeconds: integer('PUSH_INTERVAL_SECONDS', [1, 86_400], {
    default: 60,
    description:
      'Shortest time between two push notifications for the same device and room, in seconds.',
  }),
  pushGraceSeconds: integer('PUSH_GRACE_SECONDS', [0, 60], {
    default: 2,
    description:
      'Time for which a device must be alone in its room before the server wakes the other device, in seconds.',
  }),
};

const pushSchema = Type.Object(PUSH_SETTINGS);
export type PushSettings = Readonly<Static<typeof pushSchema>>;

/** Whether any push service is configured. */
export const hasPush = ({
  apnsKey,
  fcmServiceAccount,
  vapidPrivateKey,
  pushWebhookUrl,
}: PushSettings): boolean =>
  [apnsKey, fcmServiceAccount, vapidPrivateKey, pushWebhookUrl].some((setting) => setting !== '');

/** Settings of which either all or none must be set. */
const TOGETHER: readonly (keyof PushSettings)[][] = [
  ['apnsKey', 'apnsKeyId', 'apnsTeamId', 'apnsTopic'],
  ['vapidPrivateKey', 'vapidSubject'],
  ['pushWebhookUrl', 'pushWebhookSecret'],
];

const URLS = ['apnsServer', 'fcmUrl', 'pushWebhookUrl'] as const;

const envOf = (key: keyof PushSettings): string =>
  (PUSH_SETTINGS[key] as { env?: string }).env ?? '';

type Check = (settings: PushSettings) => string | undefined;

const togetherChecks: Check[] = TOGETHER.flatMap((group) =>
  group.map((key) => (settings: PushSettings) => {
    const given = group.find((other) => settings[other] !== '');
    return given !== undefined && settings[key] === ''
      ? `${envOf(key)}: needed with ${envOf(given)}`
      : undefined;
  }),
);

/** A URL may contain a key, so the fault does not quote it. */
const urlChecks: Check[] = URLS.map(
  (key) =>
    ({ [key]: text }) =>
      text.includes('://') && !URL.canParse(text) ? `${envOf(key)}: is not a URL` : undefined,
);

/** Checks push settings that need each other, and URLs beyond their pattern. */
export const PUSH_CHECKS: readonly Check[] = [...togetherChecks, ...urlChecks];
