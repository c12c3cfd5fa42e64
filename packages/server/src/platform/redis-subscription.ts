// A lasting subscription to one sharded channel: over a connection of its own, wherever the channel's slot is, for ever.
import { type ConnectionOptions, RedisConnection, RedisReplyError } from './redis-connection.js';
import { Naps, reconnectDelayMs } from './redis-node.js';
import type { Routes } from './redis-routes.js';
import { addressText } from './redis-url.js';

export interface SubscriptionEvents {
  message(message: string): void;
  /** Subscribed, for the first time or again: what was published before this may be lost. */
  subscribed(): void;
  /** What is published from now on is lost. */
  lost(): void;
}

export interface Subscription {
  readonly isSubscribed: boolean;
  close(): void;
}

/** Without a message for so long, one of our own is sent, and is expected to arrive. */
const SILENCE_MS = 5000;

/** How often it is looked whether the channel is known to be elsewhere; asks nobody. */
const LOOK_MS = 250;

/** What a subscription sends to itself; nobody else sends an empty message. */
const HEARTBEAT = '';

/** @param publish - sends a message to this channel */
export function subscribe(
  channel: string,
  events: SubscriptionEvents,
  routes: Routes,
  options: ConnectionOptions,
  publish: (message: string) => Promise<unknown>,
): Subscription {
  const naps = new Naps();
  let connection: RedisConnection | undefined;
  let isSubscribed = false;
  let heardAt = 0;

  const heard = (message: string) => {
    heardAt = performance.now();
    if (message !== HEARTBEAT) events.message(message);
  };

  const live = async () => {
    for (let attempt = 0; !naps.isClosed; attempt++) {
      try {
        connection = await RedisConnection.open(await routes.addressOf(channel), options);
        if (naps.isClosed) return connection.close();
        await connection.subscribe(channel, heard);
        heardAt = performance.now();
        isSubscribed = true;
        attempt = 0;
        events.subscribed();
        await connection.ended;
      } catch (error) {
        connection?.close();
        // The slot is elsewhere, or nowhere for the moment.
        if (error instanceof RedisReplyError) routes.recheck();
      }
      if (isSubscribed && !naps.isClosed) events.lost();
      isSubscribed = false;
      await naps.sleep(reconnectDelayMs(attempt));
    }
  };

  /**
   * A subscription can be gone without a word: a half-open connection, a slot that moved. So it listens for itself.
   * Where nothing can be published, nothing is missed.
   */
  const listen = async () => {
    while (!naps.isClosed) {
      await naps.sleep(LOOK_MS);
      const asked = connection;
      if (!isSubscribed || asked === undefined) continue;
      const now = routes.nodeOf(channel)?.address;
      if (now !== undefined && addressText(now) !== addressText(asked.address)) asked.close();
      if (performance.now() - heardAt < SILENCE_MS) continue;
      const before = heardAt;
      const wasSent = await publish(HEARTBEAT).then(
        () => true,
        () => false,
      );
      if (!wasSent) continue;
      await naps.sleep(options.timeoutMs);
      if (heardAt === before && connection === asked) asked.close(new Error('a channel is silent'));
    }
  };

  void live();
  void listen();
  return {
    get isSubscribed() {
      return isSubscribed;
    },
    close() {
      naps.close();
      connection?.close();
      isSubscribed = false;
    },
  };
}
