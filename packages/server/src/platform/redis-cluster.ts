// Routes of a Redis Cluster: which master has which slot, asked at the start and whenever something is not as expected.
import type { ConnectionOptions } from './redis-connection.js';
import { Naps, type NodeEvents, RedisNode, reconnectDelayMs } from './redis-node.js';
import { ask, type Routes } from './redis-routes.js';
import { SLOTS, slotOf } from './redis-slots.js';
import { addressText, type RedisAddress } from './redis-url.js';

/** How often the map is asked for while a master is away: one that failed over has another address. */
const RECHECK_MS = 500;

/** A range of slots and its master, as CLUSTER SLOTS tells it. */
interface SlotRange {
  first: number;
  last: number;
  master: RedisAddress;
}

export function clusterRoutes(
  seeds: readonly RedisAddress[],
  options: ConnectionOptions,
  events: NodeEvents,
): Routes {
  const naps = new Naps();
  const nodes = new Map<string, RedisNode>();
  const addresses = new Map<string, RedisAddress>();
  const slots = new Array<string | undefined>(SLOTS).fill(undefined);
  let isChecking = false;

  const nodeAt = (address: RedisAddress): RedisNode => {
    const name = addressText(address);
    const known = nodes.get(name);
    if (known !== undefined) return known;
    const node = new RedisNode(async () => address, options, {
      up: events.up,
      down(cause) {
        events.down(cause);
        recheck();
      },
    });
    nodes.set(name, node);
    addresses.set(name, address);
    return node;
  };

  const take = (ranges: readonly SlotRange[]) => {
    slots.fill(undefined);
    for (const { first, last, master } of ranges) {
      nodeAt(master);
      slots.fill(addressText(master), first, last + 1);
    }
    const masters = new Set(ranges.map(({ master }) => addressText(master)));
    for (const [name, node] of nodes) {
      if (masters.has(name)) continue;
      node.close();
      nodes.delete(name);
      addresses.delete(name);
    }
  };

  const isSettled = () =>
    !slots.includes(undefined) && [...nodes.values()].every((node) => node.isReady);

  const check = async () => {
    for (let attempt = 0; !naps.isClosed; attempt++) {
      const ranges = await askAny([...nodes.values()], [...addresses.values(), ...seeds], options);
      if (naps.isClosed) return;
      if (ranges !== undefined) take(ranges);
      await naps.sleep(attempt === 0 ? reconnectDelayMs(0) : RECHECK_MS);
      if (isSettled()) return;
    }
  };
  const recheck = () => {
    if (isChecking) return;
    isChecking = true;
    void check().finally(() => {
      isChecking = false;
    });
  };

  recheck();
  return {
    nodeOf: (key) => nodes.get(slots[slotOf(key)] ?? ''),
    async addressOf(channel) {
      const address = addresses.get(slots[slotOf(channel)] ?? '');
      if (address !== undefined) return address;
      recheck();
      throw new Error('the cluster does not say who has the slot');
    },
    nodes: () => [...nodes.values()],
    redirect(slot, address, isLasting) {
      const node = nodeAt(address);
      if (isLasting) {
        slots[slot] = addressText(address);
        recheck();
      }
      return node;
    },
    recheck,
    close() {
      naps.close();
      for (const node of nodes.values()) node.close();
    },
  };
}

/** The map of slots from whichever server gives it first: over a connection that is there, else over a new one. */
async function askAny(
  nodes: readonly RedisNode[],
  others: readonly RedisAddress[],
  options: ConnectionOptions,
): Promise<SlotRange[] | undefined> {
  const command = ['CLUSTER', 'SLOTS'];
  for (const node of nodes) {
    const { address } = node;
    if (address === undefined) continue;
    const reply = await node.connection.send(command).catch(() => undefined);
    if (Array.isArray(reply) && reply.length > 0)
      return reply.map((range) => rangeOf(range, address));
  }
  const start = Math.floor(Math.random() * others.length);
  for (const address of [...others.slice(start), ...others.slice(0, start)]) {
    const reply = await ask(address, options, command).catch(() => undefined);
    if (Array.isArray(reply) && reply.length > 0)
      return reply.map((range) => rangeOf(range, address));
  }
  return undefined;
}

function rangeOf(range: unknown, asked: RedisAddress): SlotRange {
  const [first, last, [host, port]] = range as [number, number, [string | null, number]];
  // A server that does not know its own name leaves it out: it is the one that was asked.
  return { first, last, master: { host: host || asked.host, port } };
}
