// Counts the events of signaling in plain numbers, which a scrape reads.
import {
  CLOSE_CODES,
  type ClientMessage,
  type CloseReason,
  type ForwardedMessage,
} from '@couplet/protocol';
import { CLIENT_MESSAGES } from '@couplet/protocol/schema';

const FORWARDED = [
  'webrtc_offer',
  'webrtc_answer',
  'ice_candidate',
  'key_exchange',
  'key_exchange_complete',
] as const satisfies readonly ForwardedMessage['type'][];

/** Why a message was not delivered or had no effect. */
const DROP_CAUSES = ['fault', 'rate', 'no_room', 'no_peer', 'peer_gone', 'unavailable'] as const;

/** Why an opening handshake was refused. */
const REFUSAL_CAUSES = [
  'total',
  'address',
  'budget',
  'host',
  'origin',
  'path',
  'unauthorized',
  'draining',
  'handshake',
] as const;

export type RefusalCause = (typeof REFUSAL_CAUSES)[number];

export interface SignalingCounters {
  readonly forwards: Record<ForwardedMessage['type'], number>;
  readonly messages: Record<ClientMessage['type'], number>;
  readonly drops: Record<(typeof DROP_CAUSES)[number], number>;
  readonly refusals: Record<RefusalCause, number>;
  readonly closes: Record<CloseReason, number>;
  /** Opening handshakes completed. */
  opened: number;
  /** Warnings to senders above the rate. */
  warnings: number;
  /** Connections that did not answer the heartbeat. */
  reaped: number;
}

export function newCounters(): SignalingCounters {
  return {
    messages: zeros(Object.keys(CLIENT_MESSAGES) as ClientMessage['type'][]),
    forwards: zeros(FORWARDED),
    drops: zeros(DROP_CAUSES),
    refusals: zeros(REFUSAL_CAUSES),
    closes: zeros(Object.keys(CLOSE_CODES) as CloseReason[]),
    opened: 0,
    warnings: 0,
    reaped: 0,
  };
}

export function zeros<K extends string>(keys: readonly K[]): Record<K, number> {
  return Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>;
}
