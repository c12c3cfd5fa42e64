// Keeps one sharded channel subscribed, over a connection of its own to the server that has the channel's slot.
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
  /** Subscribed, for the first time or again: messages published before this may be lost. */
  subscribed(): void;
}

export interface Subscription {
  readonly isSubscribed: boolean;
  close(): void;
}

/** After this time without a message, the subscription publishes one to itself and expects it to arrive. */
const SILENCE_MS = 5000;
/** How often the server of the channel is compared with that of the subscription; sends nothing. */
const COMPARE_MS = 250;
/** The message that a subscription sends to itself; no other message is empty. */
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
  let heardAt = 0;

  /** Subscribes, and resolves when the subscription has ended. */
  const listen = async () => {
    const own = servers.of(channel).duplicate({ ...ONCE, sentinelRetryStrategy: () => null });
    connection = own;
    const ended = once(own, 'end', { signal });
    ended.catch(() => {});
    // The cause is in the rejection of what was asked, or is the end itself.
    own.on('error', () => {});
    own.on('moved', () => own.disconnect());
    own.on('smessage', (_, message: string) => {
      heardAt = performance.now();
      if (message !== HEARTBEAT && !signal.aborted) events.message(message);
    });
    try {
      await own.connect();
      await own.ssubscribe(channel).catch(rejected);
      heardAt = performance.now();
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
        // The slot is elsewhere, or has no server for the moment.
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
   * A subscription can end without an event: a half-open connection, a slot that moved. While nothing can be published,
   * nothing is missed.
   */
  const watch = async () => {
    while (!signal.aborted) {
      await sleep(COMPARE_MS);
      const own = connection;
      if (!isSubscribed || own === undefined) continue;
      if (isElsewhere(own)) own.disconnect();
      if (performance.now() - heardAt < SILENCE_MS) continue;
      const before = heardAt;
      try {
        await publish(HEARTBEAT);
      } catch {
        continue;
      }
      await sleep(timeoutMs);
      if (heardAt === before && connection === own) own.disconnect();
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
