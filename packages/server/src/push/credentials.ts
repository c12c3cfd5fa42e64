// Reads the credentials of the push services from the settings and from files, and explains faults in them.
import { createECDH, createPrivateKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ConfigError } from '../settings/config.js';
import type { PushSettings } from '../settings/push.js';

export interface ApnsCredentials {
  key: KeyObject;
  keyId: string;
  teamId: string;
  topic: string;
  /** `https://host[:port]`. */
  origin: string;
}

export interface FcmCredentials {
  key: KeyObject;
  clientEmail: string;
  projectId: string;
  /** Where an access token is requested. */
  tokenUri: string;
  /** `https://host[:port]`. */
  origin: string;
}

export interface VapidCredentials {
  key: KeyObject;
  /** Uncompressed point in base64url. */
  publicKey: string;
  subject: string;
  /** Hosts allowed in addition to those of the known push services. */
  hosts: readonly string[];
}

export interface WebhookCredentials {
  url: string;
  secret: Buffer;
}

/** The credentials of each push service that is configured. */
export interface Credentials {
  apns?: ApnsCredentials;
  fcm?: FcmCredentials;
  webPush?: VapidCredentials;
  webhook?: WebhookCredentials;
}

/**
 * Reads all credentials.
 *
 * @throws {@link ConfigError} with every fault found; it quotes no secret and no path, because a key may be set in place of a path
 */
export function readCredentials(config: PushSettings): Credentials {
  const faults: string[] = [];
  const read = <Value>(env: string, setting: string, parse: (setting: string) => Value) => {
    if (setting === '') return undefined;
    try {
      return parse(setting);
    } catch (error) {
      faults.push(`${env}: ${error instanceof Fault ? error.message : 'is not valid'}`);
      return undefined;
    }
  };
  const apns = read('APNS_KEY', config.apnsKey, (setting) => apnsOf(setting, config));
  const fcm = read('FCM_SERVICE_ACCOUNT', config.fcmServiceAccount, (setting) =>
    fcmOf(setting, config.fcmUrl),
  );
  const webPush = read('VAPID_PRIVATE_KEY', config.vapidPrivateKey, (key) => vapidOf(key, config));
  if (faults.length > 0) throw new ConfigError(faults);
  const { pushWebhookUrl: url, pushWebhookSecret } = config;
  const secret = Buffer.from(pushWebhookSecret.replace('whsec_', ''), 'base64');
  return {
    ...(apns && { apns }),
    ...(fcm && { fcm }),
    ...(webPush && { webPush }),
    ...(url !== '' && { webhook: { url, secret } }),
  };
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

function apnsOf(setting: string, config: PushSettings): ApnsCredentials {
  // Platforms with an environment of single lines have `\n` in place of line ends.
  const pem = contentOf(setting, setting.startsWith('-----BEGIN')).replaceAll('\\n', '\n');
  const { apnsKeyId: keyId, apnsTeamId: teamId, apnsTopic: topic, apnsServer } = config;
  const key = privateKeyOf(pem, 'ec', 'is not the .p8 file of a key for APNs');
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new Fault('has a key of another curve than P-256; it is not a key for APNs');
  }
  return { key, keyId, teamId, topic, origin: APNS_ORIGINS[apnsServer] ?? apnsServer };
}

function fcmOf(setting: string, origin: string): FcmCredentials {
  const text = contentOf(setting, setting.startsWith('{'));
  const account = jsonOf(text);
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

function jsonOf(text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text));
  } catch {
    // The error is dropped because it may quote the key.
    throw new Fault('is not JSON');
  }
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

function vapidOf(privateKey: string, config: PushSettings): VapidCredentials {
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
