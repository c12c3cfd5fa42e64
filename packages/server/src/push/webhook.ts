// Passes notifications to a program of the operator, signed as in Standard Webhooks (standardwebhooks.com).
import { createHmac, randomUUID } from 'node:crypto';
import type { PushTarget } from '@couplet/protocol';
import type { Clock } from '../base/clock.js';
import type { WebhookCredentials } from './credentials.js';
import { type Attempt, attemptOfStatus } from './delivery.js';
import type { HttpClient } from './http-client.js';
import { ALERT, TYPE } from './notification.js';

export class Webhook {
  readonly #credentials: WebhookCredentials;
  readonly #clock: Clock;
  readonly #http: HttpClient;

  constructor(credentials: WebhookCredentials, clock: Clock, http: HttpClient) {
    this.#credentials = credentials;
    this.#clock = clock;
    this.#http = http;
  }

  /** Returns the request for one notification. Its id and body are the same in all attempts, so the receiver can detect a repetition. */
  request(
    { platform, token }: PushTarget,
    roomId: string,
  ): (signal: AbortSignal) => Promise<Attempt> {
    const id = `msg_${randomUUID()}`;
    const body = JSON.stringify({
      type: `push.${TYPE}`,
      timestamp: new Date(this.#clock.now()).toISOString(),
      data: { platform, token, roomId, body: ALERT },
    });
    return (signal) => this.#post(id, body, signal);
  }

  async #post(id: string, body: string, signal: AbortSignal): Promise<Attempt> {
    const { url, secret } = this.#credentials;
    const now = this.#clock.now();
    const timestamp = String(Math.floor(now / 1000));
    const hmac = createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`);
    const headers = {
      'Content-Type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': timestamp,
      'webhook-signature': `v1,${hmac.digest('base64')}`,
    };
    const answer = await this.#http.post(url, headers, body, signal);
    if (answer.status === 410) return { kind: 'dead' };
    if (answer.status === 401 || answer.status === 403) {
      return { kind: 'failed', cause: 'credentials' };
    }
    return (
      attemptOfStatus(answer.status, answer.headers['retry-after'], now) ?? {
        kind: 'failed',
        cause: 'rejected',
      }
    );
  }
}
