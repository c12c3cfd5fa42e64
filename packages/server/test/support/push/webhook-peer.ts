// A program of an operator that receives webhooks. Checks the signature and the age, and accepts no request twice (Standard Webhooks).
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../../src/base/clock.js';
import { httpPeer, mustBe, Script } from './script.js';

export interface WebhookRequest {
  id: string;
  platform: string;
  token: string;
  roomId: string;
}

/** Requests that are older or newer are refused, so that a recorded one cannot be sent again later. */
const WINDOW_SECONDS = 300;

export async function startWebhook(secret: string, clock: Clock) {
  const script = new Script<WebhookRequest>();
  const accepted = new Set<string>();
  const key = Buffer.from(secret.replace('whsec_', ''), 'base64');
  const peer = await httpPeer(({ method, headers, body }) => {
    const answer = script.take() ?? { status: 204 };
    mustBe('method', method, 'POST');
    const id = String(headers['webhook-id']);
    const timestamp = String(headers['webhook-timestamp']);
    const [version, signature = ''] = String(headers['webhook-signature']).split(',');
    mustBe('version', version, 'v1');
    const right = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest();
    const given = Buffer.from(signature, 'base64');
    if (given.length !== right.length || !timingSafeEqual(given, right)) throw 'wrong signature';
    if (Math.abs(clock.now() / 1000 - Number(timestamp)) > WINDOW_SECONDS) throw 'too old';
    if (accepted.has(id)) throw 'received before';
    const { type, data } = JSON.parse(body.toString());
    mustBe('message', [type, data.body], ['push.presence', 'Your chat partner is waiting']);
    const { platform, token, roomId } = data;
    script.received.push({ id, platform, token, roomId });
    if (answer !== 'hang' && answer !== 'cut' && answer.status < 300) accepted.add(id);
    return answer;
  });
  return { script, url: `${peer.origin}/push`, ...peer };
}
