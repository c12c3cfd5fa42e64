// Implements the channel of a node: a sharded channel on which other nodes send it messages of several kinds.
import { EventEmitter, once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from './client.js';
import { type Connection, ONCE, reconnectDelayMs, send } from './servers.js';

export type NodeChannel = ReturnType<typeof openNodeChannel>;

/** Period of the heartbeats that a node sends to itself. They have no kind, so they have no listener. */
const HEARTBEAT_MS = 1000;
/** After this number of heartbeats without a message, the connection counts as half-open. */
const MAX_UNHEARD = 3;

/** @param prefix - of all keys and channels */
export function openNodeChannel(redis: Redis, prefix: string, nodeId: string) {
  /** `subscribed`, and the messages by their kind, which is one letter. */
  const events = new EventEmitter();
  const closing = new AbortController();
  const { signal } = closing;
  const sleep = (ms: number, until = signal) =>
    delay(ms, undefined, { signal: until }).catch(() => {});
  const nameOf = (id: string) => `${prefix}{n${id}}inbox`;
  const name = nameOf(nodeId);
  let own: Connection | undefined;
  let isSubscribed = false;

  /** Resolves or rejects when the subscription has ended: by an event, or because its heartbeats are lost. */
  const listen = async () => {
    own = redis.servers.of(name)?.duplicate(ONCE);
    if (own === undefined) return;
    // Not a promise: it would keep a reaction of every heartbeat that waits for it.
    const ended = new AbortController();
    own.once('end', () => ended.abort());
    let unheard = 0;
    // The rejection of the command has the cause, or the `end` event handles it.
    own.on('error', () => {});
    own.on('moved', () => own?.disconnect());
    own.on('smessage', (_, text: string) => {
      unheard = 0;
      if (!signal.aborted) events.emit(text.charAt(0), text.slice(1));
    });
    await own.connect();
    await own.ssubscribe(name);
    if (signal.aborted) return;
    isSubscribed = true;
    events.emit('subscribed');
    while (unheard < MAX_UNHEARD) {
      await sleep(HEARTBEAT_MS, ended.signal);
      if (signal.aborted || ended.signal.aborted) return;
      unheard += 1;
      try {
        // Without a subscriber on it, the master is another one now.
        if ((await send(redis.servers.of(name), ['SPUBLISH', name, ''])) === 0) return;
      } catch {
        // While publishing fails, no message can be missed.
        unheard = 0;
      }
    }
  };

  const keep = async () => {
    for (let attempt = 1; !signal.aborted; attempt++) {
      // The slot may have moved, or have no server at the moment.
      await listen().catch(redis.servers.refresh);
      own?.disconnect();
      if (isSubscribed) attempt = 1;
      isSubscribed = false;
      await sleep(reconnectDelayMs(attempt));
    }
  };

  void keep();
  return {
    /** The id of this node. */
    nodeId,

    isSubscribed: () => isSubscribed,

    /** Resolves to whether the channel is subscribed, after at most this time. */
    async ready(withinMs: number): Promise<boolean> {
      const timeout = { signal: AbortSignal.timeout(withinMs) };
      if (!isSubscribed) await once(events, 'subscribed', timeout).catch(() => {});
      return isSubscribed;
    },

    /** Calls `listener` with each message of a kind; messages of one node keep their order. */
    on: (kind: string, listener: (body: string) => void) => void events.on(kind, listener),

    /** Calls `listener` after each subscription, including the first; earlier messages may be lost. */
    onSubscribed: (listener: () => void) => void events.on('subscribed', listener),

    /** Resolves to whether that node was subscribed, according to Redis; rejects with `Unavailable`. */
    send: async (id: string, kind: string, body: string): Promise<boolean> =>
      (await redis.publish(nameOf(id), kind + body)) > 0,

    close(): void {
      closing.abort();
      own?.disconnect();
      isSubscribed = false;
    },
  };
}
