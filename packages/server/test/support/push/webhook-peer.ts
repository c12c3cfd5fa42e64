// A program of an operator that receives webhooks. Checks the signature and the age, and accepts no request twice (Standard Webhooks).
import { createHmac, randomBytes } from 'node:crypto';
import type { Clock } from '../../../src/base/clock.js';
import { httpPeer, mustBe, Script } from './script.js';

const KEY = randomBytes(32);

/** Requests that are older or newer are refused, so that a recorded one cannot be sent again later. */
const WINDOW_SECONDS = 300;

export async function startWebhook(clock: Clock) {
  const script = new Script<Record<'id' | 'platform' | 'token' | 'roomId', string>>();
  const accepted = new Set<string>();
  const peer = await httpPeer(({ method, headers, body }) => {
    const answer = script.take() ?? { status: 204 };
    mustBe('method', method, 'POST');
    const id = String(headers['webhook-id']);
    const timestamp = String(headers['webhook-timestamp']);
    const right = createHmac('sha256', KEY).update(`${id}.${timestamp}.`).update(body);
    mustBe('signature', headers['webhook-signature'], `v1,${right.digest('base64')}`);
    if (Math.abs(clock.now() / 1000 - Number(timestamp)) > WINDOW_SECONDS) throw 'too old';
    if (accepted.has(id)) throw 'received before';
    const { type, data } = JSON.parse(body.toString());
    mustBe('message', [type, data.body], ['push.presence', 'Your chat partner is waiting']);
    const { platform, token, roomId } = data;
    script.received.push({ id, platform, token, roomId });
    if (answer !== 'hang' && answer !== 'cut' && answer.status < 300) accepted.add(id);
    return answer;
  });
  return {
    ...{ script, ...peer },
    settings: {
      PUSH_WEBHOOK_URL: `${peer.origin}/push`,
      PUSH_WEBHOOK_SECRET: `whsec_${KEY.toString('base64')}`,
    },
    target: { platform: 'android', token: 'any token' } as const,
  };
}
