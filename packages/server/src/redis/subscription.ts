// Keeps one sharded channel subscribed, over a separate connection to the server of its slot.
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type Connection,
  ONCE,
  RedisReplyError,
  reconnectDelayMs,
  rejected,
  type Servers,
} from './servers.js';

export interface SubscriptionEvents {
  message(message: string): void;
  /** Called after each subscription, including the first; earlier messages may be lost. */
  subscribed(): void;
}

export interface Subscription {
  readonly isSubscribed: boolean;
  close(): void;
}

/** Time without a message after which the subscription sends a heartbeat to itself. */
const SILENCE_MS = 5000;
/** Period of the check whether the slot has moved; sends nothing. */
const COMPARE_MS = 250;
/** The heartbeat; no other message is empty. */
const HEARTBEAT = '';

/** @param publish - sends a message to this channel */
export function subscribe(
  channel: string,
  events: SubscriptionEvents,
  servers: Servers,
  timeoutMs: number,
  publish: (message: string) => Promise<unknown>,
): Subscription {
  const closing = new AbortController();
  const { signal } = closing;
  const sleep = (ms: number) => delay(ms, undefined, { signal }).catch(() => {});
  let connection: Connection | undefined;
  let isSubscribed = false;
  let lastMessageAt = 0;

  /** Resolves when the subscription has ended. */
  const listen = async () => {
    const own = servers.of(channel).duplicate({ ...ONCE, sentinelRetryStrategy: () => null });
    connection = own;
    const ended = once(own, 'end', { signal });
    ended.catch(() => {});
    // The rejection of the command has the cause, or the `end` event handles it.
    own.on('error', () => {});
    own.on('moved', () => own.disconnect());
    own.on('smessage', (_, message: string) => {
      lastMessageAt = performance.now();
      if (message !== HEARTBEAT && !signal.aborted) events.message(message);
    });
    try {
      await own.connect();
      await own.ssubscribe(channel).catch(rejected);
      lastMessageAt = performance.now();
      isSubscribed = true;
      events.subscribed();
      await ended;
    } finally {
      own.disconnect();
    }
  };

  const keep = async () => {
    for (let attempt = 0; !signal.aborted; attempt++) {
      await listen().catch((error) => {
        // The slot has moved, or has no server at the moment.
        if (error instanceof RedisReplyError) servers.recheck();
      });
      if (isSubscribed) attempt = 0;
      isSubscribed = false;
      await sleep(reconnectDelayMs(attempt));
    }
  };

  const isElsewhere = (own: Connection) => {
    try {
      return servers.endpointOf(servers.of(channel)) !== servers.endpointOf(own);
    } catch {
      return false;
    }
  };

  /**
   * Detects a subscription that ended without an event, such as a half-open connection or a moved slot. While publishing
   * fails, no message can be missed.
   */
  const watch = async () => {
    while (!signal.aborted) {
      await sleep(COMPARE_MS);
      const own = connection;
      if (!isSubscribed || own === undefined) continue;
      if (isElsewhere(own)) own.disconnect();
      if (performance.now() - lastMessageAt < SILENCE_MS) continue;
      const before = lastMessageAt;
      try {
        await publish(HEARTBEAT);
      } catch {
        continue;
      }
      await sleep(timeoutMs);
      if (lastMessageAt === before && connection === own) own.disconnect();
    }
  };

  void keep();
  void watch();
  return {
    get isSubscribed() {
      return isSubscribed;
    },
    close() {
      closing.abort();
      connection?.disconnect();
      isSubscribed = false;
    },
  };
}
