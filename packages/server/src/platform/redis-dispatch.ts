// From a key to the server that has it: follows slots that move, judges errors, and waits for replicas where asked to.
import { Unavailable } from './http-errors.js';
import { type RedisArgument, type RedisConnection, RedisReplyError } from './redis-connection.js';
import { Naps, type RedisNode } from './redis-node.js';
import type { Routes } from './redis-routes.js';
import { slotOf } from './redis-slots.js';
import type { RedisAddress } from './redis-url.js';

export interface Dispatcher {
  /** Sends a command to the server that has the key, wherever it turns out to be. */
  send(key: string, args: readonly RedisArgument[], isWrite: boolean): Promise<unknown>;
  /** Publishes once: sent again, a message could overtake another. */
  publish(channel: string, message: string): Promise<number>;
  close(): void;
}

/** Moves of a slot that one operation follows. */
const MAX_REDIRECTS = 5;

/** How long a script waits, each time, for keys of its slot that are about to move, in milliseconds. */
const TRY_AGAIN_MS = 50;

/** Errors upon which it is asked again who has the data. */
const ELSEWHERE = new Set(['READONLY', 'MASTERDOWN', 'CLUSTERDOWN', 'NOREPLICAS', 'UNBLOCKED']);

/** Errors that are bugs of ours, and no outage; a script that is not known is for who sent it. */
const BUGS = new Set(['ERR', 'WRONGTYPE', 'CROSSSLOT', 'NOSCRIPT']);

export function createDispatcher(
  routes: Routes,
  { timeoutMs, replicasAck }: { timeoutMs: number; replicasAck: number },
): Dispatcher {
  const naps = new Naps();
  const waits = new WeakMap<RedisConnection, Promise<void>>();

  /** Everything that is written over this connection until the end of this turn has reached enough replicas. */
  const replicated = (over: RedisConnection): Promise<void> => {
    const known = waits.get(over);
    if (known !== undefined) return known;
    // Over the same connection, since that is whose writes Redis counts; once for all of a turn, since it blocks.
    const wait = new Promise<unknown>((resolve, reject) => {
      setImmediate(() => {
        waits.delete(over);
        const command = ['WAIT', String(replicasAck), String(Math.ceil(timeoutMs / 2))];
        over.send(command).then(resolve, reject);
      });
    }).then((replicas) => {
      if ((replicas as number) >= replicasAck) return;
      routes.recheck();
      throw new Unavailable(new Error('too few replicas of Redis have the write'));
    });
    waits.set(over, wait);
    return wait;
  };

  const send = async (
    over: RedisConnection,
    args: readonly RedisArgument[],
    isAsking: boolean,
    isWrite: boolean,
  ): Promise<unknown> => {
    // Nothing can come between the two: they are sent in one turn.
    if (isAsking) over.send(['ASKING']).catch(() => {});
    const reply = over.send(args);
    if (!isWrite || replicasAck === 0) return reply;
    const [result] = await Promise.all([reply, replicated(over)]);
    return result;
  };

  const judged = (error: RedisReplyError): Error => {
    if (ELSEWHERE.has(error.code)) routes.recheck();
    return BUGS.has(error.code) ? error : new Unavailable(error);
  };

  return {
    async send(key, args, isWrite) {
      let node = routes.nodeOf(key);
      let isAsking = false;
      for (let attempt = 0; ; attempt++) {
        if (node === undefined) throw nobodyHas(key);
        try {
          return await send(node.connection, args, isAsking, isWrite);
        } catch (error) {
          if (!(error instanceof RedisReplyError)) throw error;
          if (attempt === MAX_REDIRECTS) throw new Unavailable(error);
          const address = redirection(error, node);
          if (address !== undefined) {
            isAsking = error.code === 'ASK';
            node = routes.redirect(slotOf(key), address, !isAsking);
            await node?.ready(timeoutMs);
          } else if (error.code === 'TRYAGAIN') {
            await naps.sleep(TRY_AGAIN_MS);
          } else {
            throw judged(error);
          }
        }
      }
    },
    async publish(channel, message) {
      const node = routes.nodeOf(channel);
      if (node === undefined) throw nobodyHas(channel);
      try {
        return (await node.connection.send(['SPUBLISH', channel, message])) as number;
      } catch (error) {
        if (!(error instanceof RedisReplyError)) throw error;
        const address = redirection(error, node);
        if (address === undefined) throw judged(error);
        routes.redirect(slotOf(channel), address, true);
        throw new Unavailable(error);
      }
    },
    close: () => naps.close(),
  };
}

const nobodyHas = (key: string) =>
  new Unavailable(new Error(`no server of Redis is known to have slot ${slotOf(key)}`));

/** Where Redis says that the slot is; undefined where the error says no such thing. */
function redirection(error: RedisReplyError, from: RedisNode): RedisAddress | undefined {
  const parts = /^(?:MOVED|ASK) \d+ (.*):(\d+)$/.exec(error.message);
  if (parts === null) return undefined;
  return { host: parts[1] || (from.address?.host ?? ''), port: Number(parts[2]) };
}
