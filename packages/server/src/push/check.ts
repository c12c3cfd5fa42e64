// Implements `couplet push:check`: sends each push service a notification for a device that does not exist, and explains the answers.
import { createECDH, randomBytes } from 'node:crypto';
import { type Clock, MAX_SKEW_MS } from '../base/clock.js';
import type { Config } from '../settings/config.js';
import { hasPush } from '../settings/push.js';
import { Apns } from './apns.js';
import { readCredentials } from './credentials.js';
import type { Attempt } from './delivery.js';
import { Fcm } from './fcm.js';
import { HttpClient } from './http-client.js';
import { WebPush } from './web-push.js';
import { Webhook } from './webhook.js';

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
  /** The answers that are good. */
  isGood(attempt: Attempt): boolean;
  /** Advice if the credentials are not accepted, or the notification is rejected. */
  advice: string;
  send(signal: AbortSignal): Promise<Attempt>;
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
  const accepts = ({ kind }: Attempt) => kind === 'sent' || kind === 'dead';
  const checks: Check[] = [];
  const apple = apns && new Apns(apns, clock, ca);
  if (apple) {
    checks.push({
      service: `APNs at ${new URL(apns.origin).host}`,
      good: 'the key is accepted',
      isGood: accepts,
      advice:
        'Check APNS_KEY_ID, APNS_TEAM_ID and APNS_TOPIC, whether the key was revoked, and whether it is for APNS_SERVER: a key can be restricted to production or sandbox.',
      send: (signal) => apple.send(NOBODY, ROOM, signal),
    });
  }
  if (fcm) {
    const google = new Fcm(fcm, clock, http);
    checks.push({
      service: `FCM for ${fcm.projectId}`,
      good: 'the service account is accepted',
      isGood: accepts,
      advice:
        'Check that the key of the service account was not deleted, that the account may send (role Firebase Cloud Messaging API Admin), and that this API is enabled in the project.',
      send: (signal) => google.send(NOBODY, ROOM, signal),
    });
  }
  if (webPush) {
    const browsers = new WebPush(webPush, clock, http);
    const hosts = browsers.hosts.map((host) => EXAMPLES[host] ?? host);
    for (const host of hosts.filter((name) => !name.startsWith('*'))) {
      const keys = { p256dh: createECDH('prime256v1').generateKeys(), auth: randomBytes(16) };
      const subscription = { endpoint: new URL(`https://${host}/${ROOM}`), ...keys };
      checks.push({
        service: `Web Push at ${host}`,
        good: 'the service answers',
        // The subscription does not exist, so a refusal also shows that the service answers.
        isGood: (attempt) =>
          accepts(attempt) || ('cause' in attempt && attempt.cause === 'rejected'),
        advice: '',
        send: (signal) => browsers.send(subscription, ROOM, signal),
      });
    }
  }
  if (webhook) {
    const hook = new Webhook(webhook, clock, http);
    checks.push({
      service: 'PUSH_WEBHOOK_URL',
      good: 'a signed notification is accepted',
      isGood: accepts,
      advice:
        'Your program must answer 2xx, or 410 for a token that no device has. Check the URL, and that both ends have the same PUSH_WEBHOOK_SECRET.',
      send: hook.request({ platform: 'ios', token: NOBODY }, ROOM),
    });
  }
  const results = await Promise.all(checks.map(run));
  apple?.close();
  http.close();
  if (Math.abs(skewMs) > MAX_SKEW_MS) {
    const seconds = Math.round(skewMs / 1000);
    const text = `✗ clock: it differs by ${seconds} s from that of a push service.`;
    results.push({ ok: false, text: `${text} Set it, for example by NTP.` });
  }
  for (const { text } of results) write(`${text}\n`);
  return results.every(({ ok }) => ok);
}

async function run({ service, good, isGood, advice, send }: Check) {
  const fault = (text: string) => ({ ok: false, text: `✗ ${service}: ${text}` });
  const limit = AbortSignal.timeout(LIMIT_MS);
  try {
    const attempt = await send(limit);
    if (isGood(attempt)) return { ok: true, text: `✓ ${service}: ${good}` };
    const cause = 'cause' in attempt ? attempt.cause : attempt.kind;
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
