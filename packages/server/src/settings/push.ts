// Declares the settings of push notifications.
import { type Static, Type } from '@couplet/protocol/typebox';

const text = (env: string, expression: string, description: string, secret = false) =>
  Type.String({
    env,
    default: '',
    pattern: `^(${expression})?$`,
    description,
    ...(secret ? { secret: true } : {}),
  });

/** A path. Text without a dot or slash is more likely a mistake, such as a key id. */
const PATH = '[^\\n]*[./\\\\][^\\n]*';
const HOST_NAME = '(\\*\\.)?[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\\.[A-Za-z0-9-]+)*(:\\d{1,5})?';

/** Part of `ConfigSchema`. */
export const PUSH_SETTINGS = {
  apnsKey: text(
    'APNS_KEY',
    `-----BEGIN [^]+|${PATH}`,
    'Key of the Apple Push Notification service (APNs), which wakes iOS devices: path of the `.p8` file, or its content. Empty: off.',
    true,
  ),
  apnsKeyId: text(
    'APNS_KEY_ID',
    '[A-Z0-9]{10}',
    'Key id of APNS_KEY: ten characters, which are also part of the name of the downloaded file.',
  ),
  apnsTeamId: text(
    'APNS_TEAM_ID',
    '[A-Z0-9]{10}',
    'Team id of the Apple developer account: ten characters.',
  ),
  apnsTopic: text(
    'APNS_TOPIC',
    '[A-Za-z0-9.-]{1,155}',
    'Bundle id of the iOS app, such as `org.example.app`.',
  ),
  apnsServer: Type.String({
    env: 'APNS_SERVER',
    default: 'production',
    pattern: '^(production|sandbox|https://[^\\s/]+)$',
    description:
      'Server of APNs. production: for apps from TestFlight and the App Store. sandbox: for apps that Xcode installs. An https:// URL without a path: a server of your own.',
  }),
  fcmServiceAccount: text(
    'FCM_SERVICE_ACCOUNT',
    `\\{[^]+|${PATH}`,
    'Service account of Firebase Cloud Messaging (FCM), which wakes Android devices: path of the JSON file, or its content. Empty: off.',
    true,
  ),
  fcmUrl: Type.String({
    env: 'FCM_URL',
    default: 'https://fcm.googleapis.com',
    pattern: '^https?://[^\\s/]+$',
    description: 'Server of Firebase Cloud Messaging, as a URL without a path.',
  }),
  vapidPrivateKey: text(
    'VAPID_PRIVATE_KEY',
    '[A-Za-z0-9_-]{43}',
    'Private key of Web Push (RFC 8292), which wakes browsers: 32 bytes in base64url. The public key is calculated from it. After a change, browsers must subscribe again. Empty: off.',
    true,
  ),
  vapidSubject: text(
    'VAPID_SUBJECT',
    'mailto:[^\\s@]+@[^\\s@]+|https://\\S+',
    'Contact for the operators of push services: `mailto:admin@example.org`, or an https:// URL.',
  ),
  webPushHosts: Type.Array(Type.String({ pattern: `^${HOST_NAME}$` }), {
    env: 'WEB_PUSH_HOSTS',
    default: [],
    maxItems: 16,
    description:
      'Further hosts of Web Push services, comma-separated: `push.example.org`, or `*.example.org` for all names below it. The services of Chrome, Edge, Firefox and Safari are always allowed. The server sends nothing to other hosts, because a client could name any server in your network.',
  }),
  pushWebhookUrl: text(
    'PUSH_WEBHOOK_URL',
    'https?://\\S+',
    'URL of your own program for push notifications. It gets those for platforms without APNS_KEY, FCM_SERVICE_ACCOUNT or VAPID_PRIVATE_KEY. Empty: off.',
    true,
  ),
  pushWebhookSecret: text(
    'PUSH_WEBHOOK_SECRET',
    'whsec_[A-Za-z0-9+/]{32,}={0,2}',
    'Secret with which requests to PUSH_WEBHOOK_URL are signed: `whsec_` and at least 24 bytes in base64.',
    true,
  ),
  pushIntervalSeconds: Type.Integer({
    env: 'PUSH_INTERVAL_SECONDS',
    default: 60,
    minimum: 1,
    maximum: 86_400,
    description:
      'Shortest time between two push notifications for the same device and room, in seconds.',
  }),
  pushGraceSeconds: Type.Integer({
    env: 'PUSH_GRACE_SECONDS',
    default: 2,
    minimum: 0,
    maximum: 60,
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
const TOGETHER: readonly (readonly [keyof PushSettings, string])[][] = [
  [
    ['apnsKey', 'APNS_KEY'],
    ['apnsKeyId', 'APNS_KEY_ID'],
    ['apnsTeamId', 'APNS_TEAM_ID'],
    ['apnsTopic', 'APNS_TOPIC'],
  ],
  [
    ['vapidPrivateKey', 'VAPID_PRIVATE_KEY'],
    ['vapidSubject', 'VAPID_SUBJECT'],
  ],
  [
    ['pushWebhookUrl', 'PUSH_WEBHOOK_URL'],
    ['pushWebhookSecret', 'PUSH_WEBHOOK_SECRET'],
  ],
];

const URLS = [
  ['apnsServer', 'APNS_SERVER'],
  ['fcmUrl', 'FCM_URL'],
  ['pushWebhookUrl', 'PUSH_WEBHOOK_URL'],
] as const;

type Check = (settings: PushSettings) => string | undefined;

const togetherChecks: Check[] = TOGETHER.flatMap((group) =>
  group.map(([key, env]) => (settings: PushSettings) => {
    const given = group.find(([other]) => settings[other] !== '');
    return given !== undefined && settings[key] === ''
      ? `${env}: needed with ${given[1]}`
      : undefined;
  }),
);

/** A URL may contain a key, so the fault does not quote it. */
const urlChecks: Check[] = URLS.map(
  ([key, env]) =>
    ({ [key]: text }) =>
      text.includes('://') && !URL.canParse(text) ? `${env}: is not a URL` : undefined,
);

/** Checks push settings that need each other, and URLs beyond their pattern. */
export const PUSH_CHECKS: readonly Check[] = [...togetherChecks, ...urlChecks];
