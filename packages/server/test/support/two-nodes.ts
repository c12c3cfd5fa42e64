// Runs two nodes of a cluster in memory, for tests of a room with members on both nodes and of node failures.
import { onTestFinished } from 'vitest';
import { type ClusterNode, FakeNodes, LEASE_MS, RecordingConnections } from './cluster-nodes.js';

export const seat = (connectionId: string, deviceId: string | null = null) => ({
  connectionId,
  deviceId,
});

/** `a` and `c` are on the first node, `b` and `d` on the second. */
export async function twoNodes() {
  const connections = new RecordingConnections();
  const world = new FakeNodes(connections, 2);
  onTestFinished(() => world.close());
  for (const [id, home] of Object.entries({ a: 0, b: 1, c: 0, d: 1 })) world.homes.set(id, home);
  const [first, second] = world.nodes as [ClusterNode, ClusterNode];
  await world.settle();
  const join = (id: string, deviceId: string | null = null, roomId = 'r') =>
    world.backplaneOf(id).join(roomId, seat(id, deviceId), null, null);
  /** Puts two members in a room, and reads all messages about it. */
  const pair = async (one: string, other: string) => {
    await join(one);
    await join(other);
    await world.settle();
    connections.take(one);
    connections.take(other);
  };
  const members = () => world.cluster.record('r').members.map(({ connectionId }) => connectionId);
  const { log } = world;
  return { connections, world, first, second, join, pair, members, log };
}

/** Accepts all calls and does nothing. */
export function cut(node: ClusterNode): void {
  node.link.fate = () => 'refused';
  node.link.receive = undefined;
}

export function mend(node: ClusterNode): void {
  node.link.fate = () => 'fine';
  node.link.receive = (text) => node.backplane.receive(text);
  node.backplane.resubscribed();
}

/** The last renewal was up to a third of a lease before the end; the other nodes check at the same interval. */
export const BOUND_MS = LEASE_MS + LEASE_MS / 3 + 500;
