// Push settings: those that need each other, and their forms.
import { expect, test } from 'vitest';
import { ConfigError, parseConfig } from '../../src/settings/config.js';

function faultsOf(env: Record<string, string>): readonly string[] {
  try {
    parseConfig(env);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
}

const SECRET = `whsec_${'A'.repeat(32)}`;
const WEB = { VAPID_PRIVATE_KEY: 'A'.repeat(43), VAPID_SUBJECT: 'mailto:admin@example.org' };

test.each([
  [{ APNS_KEY: './key.p8' }, ['APNS_KEY_ID', 'APNS_TEAM_ID', 'APNS_TOPIC']],
  [{ APNS_TOPIC: 'org.example.app' }, ['APNS_KEY', 'APNS_KEY_ID', 'APNS_TEAM_ID']],
  [{ ...WEB, VAPID_SUBJECT: '' }, ['VAPID_SUBJECT']],
  [{ PUSH_WEBHOOK_URL: 'https://example.org/push' }, ['PUSH_WEBHOOK_SECRET']],
  [WEB, []],
  [{ FCM_SERVICE_ACCOUNT: '{"type": "service_account",\n "project_id": "p"}' }, []],
  [{ VAPID_SUBJECT: 'admin@example.org' }, ['VAPID_SUBJECT']],
  [{ APNS_SERVER: 'http://example.org' }, ['APNS_SERVER']],
  [{ FCM_URL: 'https://example.org/v1' }, ['FCM_URL']],
  [{ APNS_SERVER: 'https://example.org:99999' }, ['APNS_SERVER']],
  [{ FCM_URL: 'https://[::1' }, ['FCM_URL']],
  [{ PUSH_WEBHOOK_URL: 'https://[', PUSH_WEBHOOK_SECRET: SECRET }, ['PUSH_WEBHOOK_URL']],
  [{ WEB_PUSH_HOSTS: 'push.example.org:8443, *.example.net' }, []],
  [{ WEB_PUSH_HOSTS: 'https://push.example.org' }, ['WEB_PUSH_HOSTS']],
  [{ WEB_PUSH_HOSTS: '*' }, ['WEB_PUSH_HOSTS']],
] as [Record<string, string>, string[]][])('%j: the faulty variables are %j', (env, names) => {
  const faults = faultsOf(env);
  expect(faults.map((fault) => fault.split(':', 1)[0])).toEqual(names);
  for (const secret of [env.VAPID_PRIVATE_KEY, env.PUSH_WEBHOOK_URL, env.APNS_KEY]) {
    if (secret) expect(faults.join()).not.toContain(secret);
  }
});
