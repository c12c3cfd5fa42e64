// Implements the channel of a node: a sharded channel on which other nodes send it messages of several kinds.
import { EventEmitter, once } from 'node:events';
import type { Redis } from './client.js';

/** One letter. */
export type MessageKind = string;

export interface NodeChannel {
  /** The id of this node. */
  readonly nodeId: string;
  readonly isSubscribed: boolean;
  /** Resolves to whether the channel is subscribed, after at most this time. */
  ready(withinMs: number): Promise<boolean>;
  /** Calls `listener` with each message of a kind; messages of one node keep their order. */
  on(kind: MessageKind, listener: (body: string) => void): void;
  /** Calls `listener` after each subscription, including the first; earlier messages may be lost. */
  onSubscribed(listener: () => void): void;
  /** Resolves to whether that node was subscribed, according to Redis; rejects with `Unavailable`. */
  send(nodeId: string, kind: MessageKind, body: string): Promise<boolean>;
  close(): void;
}

/** @param prefix - of all keys and channels */
export function openNodeChannel(redis: Redis, prefix: string, nodeId: string): NodeChannel {
  const messages = new EventEmitter();
  const changes = new EventEmitter();
  const nameOf = (id: string) => `${prefix}{n${id}}inbox`;
  const subscription = redis.subscribe(nameOf(nodeId), {
    message: (text) => messages.emit(text.charAt(0), text.slice(1)),
    subscribed: () => changes.emit('subscribed'),
  });
  return {
    nodeId,
    get isSubscribed() {
      return subscription.isSubscribed;
    },
    async ready(withinMs) {
      if (!subscription.isSubscribed) {
        const signal = AbortSignal.timeout(withinMs);
        await once(changes, 'subscribed', { signal }).catch(() => {});
      }
      return subscription.isSubscribed;
    },
    on: (kind, listener) => void messages.on(kind, listener),
    onSubscribed: (listener) => void changes.on('subscribed', listener),
    send: async (id, kind, body) => (await redis.publish(nameOf(id), kind + body)) > 0,
    close: () => subscription.close(),
  };
}
