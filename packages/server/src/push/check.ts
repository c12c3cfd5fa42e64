// Implements `couplet push:check`: sends each push service a notification for a device that does not exist, and explains the answers.
import { createECDH, randomBytes } from 'node:crypto';
import { type Clock, MAX_SKEW_MS } from '../base/clock.js';
import { HttpClient } from '../http/outgoing.js';
import type { Config } from '../settings/config.js';
import { hasPush } from '../settings/push.js';
import { openApns } from './apns.js';
import { readCredentials } from './credentials.js';
import { openFcm } from './fcm.js';
import type { Prepared } from './notification.js';
import { hostsOf, openWebPush } from './web-push.js';
import { openWebhook } from './webhook.js';

/** Time limit of one check. */
const LIMIT_MS = 10_000;

/** A host for each pattern of a known service. Edge has no fixed host. */
const EXAMPLES: Readonly<Record<string, string>> = {
  '*.push.services.mozilla.com': 'updates.push.services.mozilla.com',
  '*.push.apple.com': 'web.push.apple.com',
};

/** A token that no device has. APNs requires the form of a device token. */
const NOBODY = '0'.repeat(64);
const ROOM = 'couplet-push-check';

export interface CheckDeps {
  clock: Clock;
  write(text: string): void;
  /** Certificates to trust instead of those of Node.js. */
  ca?: string;
}

interface Check {
  service: string;
  /** What a good answer shows. */
  good: string;
  /** Advice if the credentials are not accepted, or the notification is rejected. */
  advice: string;
  prepared: Prepared;
  /** Whether the token cannot exist. A rejection then also shows that the service works. */
  isRefusalGood?: boolean;
}

/**
 * Checks every push service of the configuration. Resolves to whether all checks passed.
 *
 * @throws ConfigError if credentials cannot be used
 */
export async function checkPush(config: Config, { clock, write, ca }: CheckDeps): Promise<boolean> {
  if (!hasPush(config)) {
    write('No push service is configured: docs/push.md shows how.\n');
    return true;
  }
  const { apns, fcm, webPush, webhook } = readCredentials(config);
  let skewMs = 0;
  const http = new HttpClient(ca, ({ headers }) => {
    const time = Date.parse(String(headers.date));
    if (!Number.isNaN(time)) skewMs = time - clock.now();
  });
  const deps = { clock, http, ca };
  const checks: Check[] = [];
  const apple = apns && openApns(apns, deps);
  if (apple) {
    checks.push({
      service: `APNs at ${new URL(apns.origin).host}`,
      good: 'the key is accepted',
      advice:
        'Check APNS_KEY_ID, APNS_TEAM_ID and APNS_TOPIC, whether the key was revoked, and whether it is for APNS_SERVER: a key can be restricted to production or sandbox.',
      prepared: apple.prepare({ platform: 'ios', token: NOBODY }, ROOM),
    });
  }
  if (fcm) {
    checks.push({
      service: `FCM for ${fcm.projectId}`,
      good: 'the service account is accepted',
      advice:
        'Check that the key of the service account was not deleted, that the account may send (role Firebase Cloud Messaging API Admin), and that this API is enabled in the project.',
      prepared: openFcm(fcm, deps).prepare({ platform: 'android', token: NOBODY }, ROOM),
    });
  }
  if (webPush) {
    const browsers = openWebPush(webPush, deps);
    const hosts = hostsOf(webPush).map((host) => EXAMPLES[host] ?? host);
    for (const host of hosts.filter((name) => !name.startsWith('*'))) {
      const p256dh = createECDH('prime256v1').generateKeys('base64url');
      const keys = { p256dh, auth: randomBytes(16).toString('base64url') };
      const token = JSON.stringify({ endpoint: `https://${host}/${ROOM}`, keys });
      checks.push({
        service: `Web Push at ${host}`,
        good: 'the service answers',
        isRefusalGood: true,
        advice: '',
        prepared: browsers.prepare({ platform: 'web', token }, ROOM),
      });
    }
  }
  if (webhook) {
    checks.push({
      service: 'PUSH_WEBHOOK_URL',
      good: 'a signed notification is accepted',
      advice:
        'Your program must answer 2xx, or 410 for a token that no device has. Check the URL, and that both ends have the same PUSH_WEBHOOK_SECRET.',
      prepared: openWebhook(webhook, deps).prepare({ platform: 'ios', token: NOBODY }, ROOM),
    });
  }
  const results = await Promise.all(checks.map(run));
  apple?.close?.();
  http.close();
  if (Math.abs(skewMs) > MAX_SKEW_MS) {
    const seconds = Math.round(skewMs / 1000);
    const text = `✗ clock: it differs by ${seconds} s from that of a push service.`;
    results.push({ ok: false, text: `${text} Set it, for example by NTP.` });
  }
  for (const { text } of results) write(`${text}\n`);
  return results.every(({ ok }) => ok);
}

async function run({ service, good, advice, prepared, isRefusalGood }: Check) {
  const fault = (text: string) => ({ ok: false, text: `✗ ${service}: ${text}` });
  const limit = AbortSignal.timeout(LIMIT_MS);
  try {
    const attempt = 'send' in prepared ? await prepared.send(limit) : { kind: prepared.end };
    const cause = 'cause' in attempt ? attempt.cause : attempt.kind;
    const isGood = cause === 'sent' || cause === 'dead' || (isRefusalGood && cause === 'rejected');
    if (isGood) return { ok: true, text: `✓ ${service}: ${good}` };
    if (cause === 'unknown_host')
      return fault('the host name is unknown. Check DNS and WEB_PUSH_HOSTS.');
    if (cause === 'busy' || cause === 'server_error') {
      return fault('it answers 429 or 5xx. Try again later.');
    }
    const found =
      cause === 'credentials' ? 'the credentials are refused' : 'the notification is refused';
    return fault(`${found}. ${advice}`);
  } catch (error) {
    if (limit.aborted) return fault(`no answer within ${LIMIT_MS / 1000} s. Check the firewall.`);
    const { code } = error as { code?: unknown };
    return fault(`it cannot be reached (${code ?? 'no answer'}). Check DNS, firewall and URL.`);
  }
}
