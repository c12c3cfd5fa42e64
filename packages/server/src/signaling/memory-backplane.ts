// Implements the backplane of one process: rooms in a map, changed by room.ts.
import type { Backplane, LocalConnections } from './backplane.js';
import { emptyRoom, type RoomEvent, type RoomState, transition } from './room.js';

export function createMemoryBackplane(connections: LocalConnections): Backplane {
  const rooms = new Map<string, RoomState>();

  const apply = (roomId: string, event: RoomEvent): RoomState => {
    const before = rooms.get(roomId) ?? emptyRoom(roomId);
    const { room, effects } = transition(before, event);
    // An empty room is deleted, with its roles.
    if (room.members.length === 0) rooms.delete(roomId);
    else rooms.set(roomId, room);
    for (const effect of effects) connections.deliver(effect);
    return room;
  };

  return {
    async join(roomId, member, devices, leaving) {
      const { connectionId } = member;
      const { members } = apply(roomId, { kind: 'join', member, devices });
      const seated = members.some((present) => present.connectionId === connectionId);
      // Both changes happen in the same turn. A join in between would give the moving client its old seat again.
      if (seated && leaving !== null && leaving !== roomId) {
        apply(leaving, { kind: 'move', connectionId });
      }
      return seated;
    },
    async depart(roomId, connectionId, how) {
      apply(roomId, { kind: how, connectionId });
    },
    // The seat of a connection changes in the same turn as its room, so `to` is always the present peer.
    forward: (_from, to, frame) => connections.forward(to, frame),
    reaches: () => true,
    roomCount: async () => rooms.size,
    async rooms() {
      return Array.from(rooms.values(), ({ roomId, members }) => ({
        roomId,
        members: members.length,
      }));
    },
    close: async () => {},
  };
}
