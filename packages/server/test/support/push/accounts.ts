// The accounts at the fake push services: their keys, and the settings of a server that uses them.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { makeCertificate } from '@couplet/testkit/certificate';
import { temporaryFolder } from '@couplet/testkit/server';

/** The certificate of all peers, for localhost. */
export const certificate = makeCertificate(temporaryFolder());
export const TLS = {
  key: readFileSync(certificate.key, 'utf8'),
  cert: readFileSync(certificate.cert, 'utf8'),
};

export const APPLE = {
  ...generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  keyId: 'ABCDE12345',
  teamId: 'TEAM012345',
  topic: 'org.example.app',
};
export const GOOGLE = {
  ...generateKeyPairSync('rsa', { modulusLength: 2048 }),
  clientEmail: 'push@example.iam.gserviceaccount.com',
  projectId: 'example-1',
};
export const VAPID_SUBJECT = 'mailto:admin@example.org';
export const WEBHOOK_SECRET = `whsec_${randomBytes(32).toString('base64')}`;

const pem = { type: 'pkcs8', format: 'pem' } as const;

export const apnsSettings = (peer: { origin: string }) => ({
  // As platforms write it whose variables have one line.
  APNS_KEY: String(APPLE.privateKey.export(pem)).replaceAll('\n', '\\n'),
  APNS_KEY_ID: APPLE.keyId,
  APNS_TEAM_ID: APPLE.teamId,
  APNS_TOPIC: APPLE.topic,
  APNS_SERVER: peer.origin,
});

export const fcmSettings = (peer: { origin: string }) => ({
  FCM_SERVICE_ACCOUNT: JSON.stringify({
    type: 'service_account',
    project_id: GOOGLE.projectId,
    private_key: GOOGLE.privateKey.export(pem),
    client_email: GOOGLE.clientEmail,
    token_uri: `${peer.origin}/token`,
  }),
  FCM_URL: peer.origin,
});

export const webPushSettings = (peer: { origin: string }) => ({
  VAPID_PRIVATE_KEY: randomBytes(32).toString('base64url'),
  VAPID_SUBJECT,
  WEB_PUSH_HOSTS: new URL(peer.origin).host,
});

export const webhookSettings = (peer: { url: string }) => ({
  PUSH_WEBHOOK_URL: peer.url,
  PUSH_WEBHOOK_SECRET: WEBHOOK_SECRET,
});
