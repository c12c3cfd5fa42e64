// Passes notifications to a program of the operator, signed as in Standard Webhooks (standardwebhooks.com).
import { createHmac, randomUUID } from 'node:crypto';
import type { WebhookCredentials } from './credentials.js';
import { attemptOfStatus, REJECTED } from './delivery.js';
import { ALERT, type PushService, type ServiceDeps, TYPE } from './notification.js';

export function openWebhook(
  { url, secret }: WebhookCredentials,
  { clock, http }: ServiceDeps,
): PushService {
  return {
    prepare({ platform, token }, roomId) {
      // Id and body are the same in all attempts, so the receiver can detect a repetition.
      const id = `msg_${randomUUID()}`;
      const body = JSON.stringify({
        type: `push.${TYPE}`,
        timestamp: new Date(clock.now()).toISOString(),
        data: { platform, token, roomId, body: ALERT },
      });
      return {
        async send(signal) {
          const now = clock.now();
          const timestamp = String(Math.floor(now / 1000));
          const hmac = createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`);
          const headers = {
            'Content-Type': 'application/json',
            'webhook-id': id,
            'webhook-timestamp': timestamp,
            'webhook-signature': `v1,${hmac.digest('base64')}`,
          };
          const answer = await http.post(url, headers, body, signal);
          if (answer.status === 410) return { kind: 'dead' };
          if (answer.status === 401 || answer.status === 403) {
            return { kind: 'failed', cause: 'credentials' };
          }
          return attemptOfStatus(answer.status, answer.headers['retry-after'], now) ?? REJECTED;
        },
      };
    },
  };
}
