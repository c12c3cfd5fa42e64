// Counts the events of signaling in plain numbers, which a scrape reads.
import {
  CLOSE_CODES,
  type ClientMessage,
  type CloseReason,
  type ForwardedMessage,
} from '@couplet/protocol';
import { CLIENT_MESSAGES } from '@couplet/protocol/schema';

/** Why a message was not delivered or had no effect. */
export type DropCause = 'fault' | 'rate' | 'no_room' | 'no_peer' | 'peer_gone' | 'unavailable';

/** Why an opening handshake was refused. */
export type RefusalCause =
  | 'total'
  | 'address'
  | 'budget'
  | 'host'
  | 'origin'
  | 'path'
  | 'unauthorized'
  | 'draining'
  | 'handshake';

export interface SignalingCounters {
  readonly forwards: Record<ForwardedMessage['type'], number>;
  readonly messages: Record<ClientMessage['type'], number>;
  readonly drops: Record<DropCause, number>;
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
  const messages = zeros(Object.keys(CLIENT_MESSAGES) as ClientMessage['type'][]);
  return {
    messages,
    forwards: zeros([
      'webrtc_offer',
      'webrtc_answer',
      'ice_candidate',
      'key_exchange',
      'key_exchange_complete',
    ]),
    drops: zeros(['fault', 'rate', 'no_room', 'no_peer', 'peer_gone', 'unavailable']),
    refusals: zeros([
      'total',
      'address',
      'budget',
      'host',
      'origin',
      'path',
      'unauthorized',
      'draining',
      'handshake',
    ]),
    closes: zeros(Object.keys(CLOSE_CODES) as CloseReason[]),
    opened: 0,
    warnings: 0,
    reaped: 0,
  };
}

export function zeros<K extends string>(keys: readonly K[]): Record<K, number> {
  return Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>;
}
