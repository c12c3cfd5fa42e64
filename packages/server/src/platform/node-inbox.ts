// The inbox of a node: one sharded channel on which the other nodes reach it, for messages of several kinds.
import type { Redis, Subscription } from './redis.js';

/** What a message is about: one letter each, which its owner is told of. */
export type MessageKind = string;

export interface NodeInbox {
  /** Whose inbox it is now: the id of this node. */
  readonly nodeId: string;
  readonly isSubscribed: boolean;
  /** Calls `listener` with each message of a kind, in the order in which one node sent them. */
  on(kind: MessageKind, listener: (body: string) => void): void;
  /** Calls `listener` whenever messages arrive again, for the first time too: what was sent before may be lost. */
  onSubscribed(listener: () => void): void;
  /**
   * Sends a message to a node. What one turn of the event loop sends to a node is published at once, in its order.
   * Resolves to whether that node was listening, as far as Redis knows; rejects with `Unavailable`.
   */
  send(nodeId: string, kind: MessageKind, body: string): Promise<boolean>;
  /** From now on this node has another id; messages to the old one are no longer heard. */
  moveTo(nodeId: string): void;
  close(): void;
}

interface Batch {
  text: string;
  sent: Promise<boolean>;
}

/** @param prefix - of all keys and channels */
export function openNodeInbox(redis: Redis, prefix: string, firstNodeId: string): NodeInbox {
  const listeners = new Map<MessageKind, ((body: string) => void)[]>();
  const subscribedListeners: (() => void)[] = [];
  /** Bounded by the targets of one turn. */
  const batches = new Map<string, Batch>();
  let nodeId = firstNodeId;

  const channelOf = (id: string) => `${prefix}{n${id}}inbox`;

  const listen = (): Subscription =>
    redis.subscribe(channelOf(nodeId), {
      message(text) {
        for (const { kind, body } of messagesOf(text)) {
          for (const listener of listeners.get(kind) ?? []) listener(body);
        }
      },
      subscribed: () => {
        for (const listener of subscribedListeners) listener();
      },
      lost: () => {},
    });

  const publish = (target: string): Promise<boolean> =>
    new Promise((resolve, reject) => {
      setImmediate(() => {
        const { text } = batches.get(target) as Batch;
        batches.delete(target);
        redis.publish(channelOf(target), text).then((count) => resolve(count > 0), reject);
      });
    });

  let subscription = listen();
  return {
    get nodeId() {
      return nodeId;
    },
    get isSubscribed() {
      return subscription.isSubscribed;
    },
    on(kind, listener) {
      listeners.set(kind, [...(listeners.get(kind) ?? []), listener]);
    },
    onSubscribed(listener) {
      subscribedListeners.push(listener);
    },
    send(target, kind, body) {
      const message = `${kind}${body.length}:${body}`;
      const batch = batches.get(target);
      if (batch !== undefined) {
        batch.text += message;
        return batch.sent;
      }
      const sent = publish(target);
      batches.set(target, { text: message, sent });
      return sent;
    },
    moveTo(id) {
      if (id === nodeId) return;
      nodeId = id;
      subscription.close();
      subscription = listen();
    },
    close: () => subscription.close(),
  };
}

/** The messages of one publication: `kind length:body`, without spaces, one after the other. */
function* messagesOf(text: string): Generator<{ kind: MessageKind; body: string }> {
  let at = 0;
  while (at < text.length) {
    const colon = text.indexOf(':', at);
    const length = Number(text.slice(at + 1, colon));
    // Not ours: a stranger on the channel. Nothing behind it can be told apart.
    if (colon === -1 || !Number.isInteger(length)) return;
    yield { kind: text.charAt(at), body: text.slice(colon + 1, colon + 1 + length) };
    at = colon + 1 + length;
  }
}
