// Reads the credentials of the push services from the settings and from files, and explains faults in them.
import { createECDH, createPrivateKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parsedJson } from '../base/json.js';
import { ConfigError } from '../settings/config.js';
import type { PushSettings } from '../settings/push.js';

export type ApnsCredentials = ReturnType<typeof apnsOf>;
export type FcmCredentials = ReturnType<typeof fcmOf>;
export type VapidCredentials = ReturnType<typeof vapidOf>;
export type WebhookCredentials = ReturnType<typeof webhookOf>;

/**
 * Reads all credentials.
 *
 * @throws {@link ConfigError} with every fault found; it quotes no secret and no path, because a key may be set in place of a path
 */
export function readCredentials(config: PushSettings) {
  const faults: string[] = [];
  const read = <Value>(
    env: string,
    setting: string,
    parse: (setting: string, config: PushSettings) => Value,
  ) => {
    if (setting === '') return undefined;
    try {
      return parse(setting, config);
    } catch (error) {
      faults.push(`${env}: ${error instanceof Fault ? error.message : 'is not valid'}`);
      return undefined;
    }
  };
  const credentials = {
    apns: read('APNS_KEY', config.apnsKey, apnsOf),
    fcm: read('FCM_SERVICE_ACCOUNT', config.fcmServiceAccount, fcmOf),
    webPush: read('VAPID_PRIVATE_KEY', config.vapidPrivateKey, vapidOf),
    webhook: read('PUSH_WEBHOOK_URL', config.pushWebhookUrl, webhookOf),
  };
  if (faults.length > 0) throw new ConfigError(faults);
  return credentials;
}

/** A fault that the operator can correct, without the name of the setting. */
class Fault extends Error {}

/** The setting itself if it is the content, otherwise the content of the file that it names. */
function contentOf(setting: string, isContent: boolean): string {
  if (isContent) return setting;
  try {
    return readFileSync(setting, 'utf8');
  } catch (error) {
    throw new Fault(`the file cannot be read (${(error as { code?: string }).code})`);
  }
}

const APNS_ORIGINS: Readonly<Record<string, string>> = {
  production: 'https://api.push.apple.com',
  sandbox: 'https://api.sandbox.push.apple.com',
};

/** `origin`: `https://host[:port]`. */
function apnsOf(setting: string, config: PushSettings) {
  // Platforms with an environment of single lines have `\n` in place of line ends.
  const pem = contentOf(setting, setting.startsWith('-----BEGIN')).replaceAll('\\n', '\n');
  const { apnsKeyId: keyId, apnsTeamId: teamId, apnsTopic: topic, apnsServer } = config;
  const key = privateKeyOf(pem, 'ec', 'is not the .p8 file of a key for APNs');
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new Fault('has a key of another curve than P-256; it is not a key for APNs');
  }
  return { key, keyId, teamId, topic, origin: APNS_ORIGINS[apnsServer] ?? apnsServer };
}

/** `tokenUri`: where an access token is requested. */
function fcmOf(setting: string, { fcmUrl: origin }: PushSettings) {
  const parsed = parsedJson(contentOf(setting, setting.startsWith('{')));
  if (parsed === undefined) throw new Fault('is not JSON');
  const account: Record<string, unknown> = Object(parsed);
  if ('project_info' in account) {
    throw new Fault(
      'is google-services.json, which belongs in the app; the server needs the key of a service account',
    );
  }
  const field = (name: string): string => {
    const value = account[name];
    if (typeof value === 'string' && value !== '') return value;
    throw new Fault(`is not the JSON file of a service account: it has no ${name}`);
  };
  const tokenUri = field('token_uri');
  if (!/^https?:\/\//.test(tokenUri) || !URL.canParse(tokenUri)) {
    throw new Fault('has a token_uri that is not a URL');
  }
  return {
    key: privateKeyOf(field('private_key'), 'rsa', 'has a private_key that is not an RSA key'),
    clientEmail: field('client_email'),
    projectId: field('project_id'),
    tokenUri,
    origin,
  };
}

function privateKeyOf(pem: string, type: 'ec' | 'rsa', fault: string): KeyObject {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === type) return key;
  } catch {
    // Reported below, without the cause, which only names an error of OpenSSL.
  }
  throw new Fault(fault);
}

/** `publicKey`: an uncompressed point in base64url. `hosts`: allowed in addition to those of the known push services. */
function vapidOf(privateKey: string, config: PushSettings) {
  const pair = createECDH('prime256v1');
  try {
    pair.setPrivateKey(privateKey, 'base64url');
  } catch {
    throw new Fault('is not a private key of the curve P-256');
  }
  const point = pair.getPublicKey();
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((half) =>
    half.toString('base64url'),
  );
  const jwk = { kty: 'EC', crv: 'P-256', d: privateKey, x: x as string, y: y as string };
  return {
    key: createPrivateKey({ key: jwk, format: 'jwk' }),
    publicKey: point.toString('base64url'),
    subject: config.vapidSubject,
    hosts: config.webPushHosts,
  };
}

function webhookOf(url: string, { pushWebhookSecret }: PushSettings) {
  return { url, secret: Buffer.from(pushWebhookSecret.replace('whsec_', ''), 'base64') };
}
