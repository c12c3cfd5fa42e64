// Which server has a key: the only one, or the one that the Sentinels call master. (redis-cluster.ts: one of many.)
import { type ConnectionOptions, RedisConnection } from './redis-connection.js';
import { type NodeEvents, RedisNode } from './redis-node.js';
import type { RedisAddress, RedisCredentials, RedisTarget } from './redis-url.js';

export interface Routes {
  /** The server that has a key; undefined while that is not known. */
  nodeOf(key: string): RedisNode | undefined;
  /** Where to subscribe to a channel. */
  addressOf(channel: string): Promise<RedisAddress>;
  /** All that hold data. */
  nodes(): readonly RedisNode[];
  /** The server at an address to which Redis redirects; undefined where no redirection is known. */
  redirect(slot: number, address: RedisAddress, isLasting: boolean): RedisNode | undefined;
  /** Something is not where it was thought to be: looks again. */
  recheck(): void;
  close(): void;
}

/** One server, whoever says which. */
export function singleRoutes(
  locate: () => Promise<RedisAddress>,
  options: ConnectionOptions,
  events: NodeEvents,
): Routes {
  const node = new RedisNode(locate, options, events);
  return {
    nodeOf: () => node,
    addressOf: locate,
    nodes: () => [node],
    redirect: () => undefined,
    recheck: () => {
      node.relocate().catch(() => {
        // Nobody can say who is master: the connection there is stays, and the next fault asks again.
      });
    },
    close: () => node.close(),
  };
}

/**
 * Asks the Sentinels, one after the other, who is master, and that server whether it thinks so too: for a moment after
 * a failover a Sentinel may still name the old one.
 */
export function askSentinels(
  target: Extract<RedisTarget, { kind: 'sentinel' }>,
  options: ConnectionOptions,
): () => Promise<RedisAddress> {
  const sentinels = [...target.hosts];
  const sentinelOptions = { ...options, credentials: target.sentinelCredentials, database: 0 };
  return async () => {
    let cause: unknown = new Error('no Sentinel knows the master');
    for (const sentinel of [...sentinels]) {
      try {
        const reply = await ask(sentinel, sentinelOptions, [
          'SENTINEL',
          'GET-MASTER-ADDR-BY-NAME',
          target.master,
        ]);
        if (!Array.isArray(reply)) continue;
        const address = { host: String(reply[0]), port: Number(reply[1]) };
        const [role] = (await ask(address, options, ['ROLE'])) as [unknown];
        if (role === 'master') return address;
        cause = new Error('the server that a Sentinel names is no master');
      } catch (error) {
        cause = error;
        // Asked last from now on: one that is away costs the time of an attempt.
        sentinels.push(sentinels.splice(sentinels.indexOf(sentinel), 1)[0] as RedisAddress);
      }
    }
    throw cause;
  };
}

/** One command over a connection of its own. */
export async function ask(
  address: RedisAddress,
  options: ConnectionOptions & { credentials: RedisCredentials },
  command: readonly string[],
): Promise<unknown> {
  const connection = await RedisConnection.open(address, options);
  try {
    return await connection.send(command);
  } finally {
    connection.close();
  }
}
