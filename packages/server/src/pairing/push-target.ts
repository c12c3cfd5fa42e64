// Reads push targets from requests.
import { MAX_PUSH_TOKEN_BYTES, type Platform, type PushTarget } from '@couplet/protocol';
import * as wire from '@couplet/protocol/schema';
import { Compile } from '@couplet/protocol/typebox';
import { fieldFault, given } from '../http/validation.js';

type TokenField = 'client1_token' | 'client2_token' | 'token';

/** The fields of a request, which match their schemas. */
type PushFields = {
  readonly [Field in TokenField]?: string | wire.WebPushSubscription | null;
} & { readonly platform?: Platform | '' | null };

/**
 * The push target of a device; undefined if the request has no token.
 *
 * @throws RequestFault if the token is not one of its platform
 */
export function pushTargetOf(request: PushFields, field: TokenField): PushTarget | undefined {
  const sent = request[field];
  if (sent === undefined || sent === null || sent === '') return undefined;
  const platform = given(request.platform) ?? 'ios';
  const token = platform === 'web' ? subscriptionText(sent) : sent;
  if (typeof token !== 'string' || !/^[!-~]+$/.test(token)) throw fieldFault(field);
  return { platform: platform as Platform, token };
}

const subscriptions = Compile(wire.WebPushSubscription);

/** A Web Push subscription as JSON with only the members that a push needs; undefined if it is none. */
function subscriptionText(sent: string | wire.WebPushSubscription): string | undefined {
  try {
    const subscription: unknown = typeof sent === 'string' ? JSON.parse(sent) : sent;
    if (!subscriptions.Check(subscription)) return undefined;
    const { p256dh, auth } = subscription.keys;
    const { username, password, href } = new URL(subscription.endpoint);
    const text = JSON.stringify({ endpoint: href, keys: { p256dh, auth } });
    const isValid = username + password === '' && text.length <= MAX_PUSH_TOKEN_BYTES;
    return isValid ? text : undefined;
  } catch {
    // Not JSON, or not a URL. The error is dropped because it can quote the token.
    return undefined;
  }
}
