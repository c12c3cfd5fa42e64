// The credentials of push services: files and values, and faults in words that an operator can act on.
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { readCredentials } from '../../src/push/credentials.js';
import { ConfigError, parseConfig } from '../../src/settings/config.js';

const folder = temporaryFolder();
const file = (name: string, content: string): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};
const pem = { type: 'pkcs8', format: 'pem' } as const;
const ec = (namedCurve: string) =>
  String(generateKeyPairSync('ec', { namedCurve }).privateKey.export(pem));
const p256 = ec('P-256');
const rsa = String(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export(pem));

const apns = (key: string) => ({
  APNS_KEY: key,
  APNS_KEY_ID: 'ABCDE12345',
  APNS_TEAM_ID: 'TEAM012345',
  APNS_TOPIC: 'org.example.app',
});
const ACCOUNT = {
  project_id: 'p',
  private_key: rsa,
  client_email: 'a@example.org',
  token_uri: 'https://oauth2.googleapis.com/token',
};
const fcm = (account: object) => ({ FCM_SERVICE_ACCOUNT: JSON.stringify(account) });
const read = (env: Record<string, string>) => readCredentials(parseConfig(env));

test('keys are read from files, and from the settings themselves', () => {
  const fromFiles = read({
    ...apns(file('AuthKey.p8', p256)),
    FCM_SERVICE_ACCOUNT: file('account.json', JSON.stringify(ACCOUNT, null, 2)),
  });
  const fromValues = read({ ...apns(p256.trim().replaceAll('\n', '\\n')), ...fcm(ACCOUNT) });
  expect(fromFiles.apns?.key.export(pem)).toEqual(fromValues.apns?.key.export(pem));
  expect(fromFiles.fcm?.key.export(pem)).toEqual(fromValues.fcm?.key.export(pem));
});

test('APNS_SERVER is production, sandbox, or an origin', () => {
  const originOf = (server: string) => read({ ...apns(p256), APNS_SERVER: server }).apns?.origin;
  expect(originOf('production')).toBe('https://api.push.apple.com');
  expect(originOf('sandbox')).toBe('https://api.sandbox.push.apple.com');
  expect(originOf('https://apns.example.org:8443')).toBe('https://apns.example.org:8443');
});

const FAULTS: [Record<string, string>, ...string[]][] = [
  [apns(join(folder, 'missing.p8')), 'APNS_KEY: the file cannot be read (ENOENT)'],
  [apns(folder), 'APNS_KEY: the file cannot be read (EISDIR)'],
  [apns(file('text.p8', 'text')), 'APNS_KEY: is not the .p8 file of a key for APNs'],
  [apns(rsa), 'APNS_KEY: is not the .p8 file of a key for APNs'],
  [apns(ec('P-384')), 'APNS_KEY: has a key of another curve than P-256; it is not a key for APNs'],
  [{ FCM_SERVICE_ACCOUNT: '{"a"' }, 'FCM_SERVICE_ACCOUNT: is not JSON'],
  [
    fcm({ ...ACCOUNT, client_email: undefined }),
    'FCM_SERVICE_ACCOUNT: is not the JSON file of a service account: it has no client_email',
  ],
  [
    fcm({ project_info: {} }),
    'FCM_SERVICE_ACCOUNT: is google-services.json, which belongs in the app; the server needs the key of a service account',
  ],
  [
    fcm({ ...ACCOUNT, private_key: p256 }),
    'FCM_SERVICE_ACCOUNT: has a private_key that is not an RSA key',
  ],
  [
    fcm({ ...ACCOUNT, token_uri: 'nowhere' }),
    'FCM_SERVICE_ACCOUNT: has a token_uri that is not a URL',
  ],
  [
    { VAPID_PRIVATE_KEY: '_'.repeat(43), VAPID_SUBJECT: 'mailto:a@example.org' },
    'VAPID_PRIVATE_KEY: is not a private key of the curve P-256',
  ],
  // All faults are reported together.
  [
    { ...apns(rsa), FCM_SERVICE_ACCOUNT: '{"a"' },
    'APNS_KEY: is not the .p8 file of a key for APNs',
    'FCM_SERVICE_ACCOUNT: is not JSON',
  ],
];

test.each(FAULTS.map(([env, ...faults]) => [faults, env] as const))('%j', (faults, env) => {
  expect(() => read(env)).toThrow(new ConfigError(faults));
});
