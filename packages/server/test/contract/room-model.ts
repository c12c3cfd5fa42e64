// A simple model of the room rules, written from docs/protocol.md and not from room.ts; the two must agree.
import type { PairedDevices, Seat } from '../../src/signaling/room.js';

interface Member {
  who: string;
  device: string | null;
}

/** Rooms as plain lists, with the messages that each client should have received since the last `take`. */
export class RoomModel {
  readonly #rooms = new Map<string, { members: Member[]; paired: PairedDevices | null }>();
  readonly #messages = new Map<string, string[]>();

  roomOf(who: string): string | undefined {
    for (const [roomId, { members }] of this.#rooms) {
      if (members.some((member) => member.who === who)) return roomId;
    }
    return undefined;
  }

  seatOf(who: string): Seat | null {
    const roomId = this.roomOf(who);
    if (roomId === undefined) return null;
    const { members, paired } = this.#rooms.get(roomId) ?? { members: [], paired: null };
    const peer = members.find((member) => member.who !== who);
    const device = members.find((member) => member.who === who)?.device ?? null;
    const isPaired = paired !== null && (device === paired.client1 || device === paired.client2);
    return { roomId, peerId: peer?.who ?? null, pairedDevice: isPaired ? device : null };
  }

  take(who: string): string[] {
    const messages = this.#messages.get(who) ?? [];
    this.#messages.delete(who);
    return messages;
  }

  join(who: string, roomId: string, device: string | null, paired: PairedDevices | null): void {
    const left = this.roomOf(who);
    const room = this.#rooms.get(roomId) ?? { members: [], paired: null };
    const mine = room.members.findIndex((member) => member.who === who);
    const earlier = room.members.findIndex(
      (member) => member.who !== who && device !== null && member.device === device,
    );
    if (mine < 0 && earlier < 0 && room.members.length === 2) {
      this.#tell(who, 'room_full');
      return;
    }
    const roleBefore = (member: Member) => this.#role(room, member);
    const peerBefore = room.members.find((member) => member.who !== who);
    const oldRole = peerBefore && roleBefore(peerBefore);

    this.#rooms.set(roomId, room);
    if (paired) room.paired = paired;
    if (earlier >= 0) {
      this.#tell((room.members[earlier] as Member).who, 'close replaced');
      room.members[earlier] = { who, device };
      if (mine >= 0) room.members.splice(mine, 1);
    } else if (mine >= 0) {
      const member = room.members[mine] as Member;
      if (device !== null) member.device = device;
    } else {
      room.members.push({ who, device });
    }

    const me = room.members.find((member) => member.who === who) as Member;
    const peer = room.members.find((member) => member.who !== who);
    this.#tell(who, `room_joined ${this.#role(room, me)}`);
    if (peer) {
      this.#tell(who, `room_ready ${this.#role(room, me)}`);
      if (earlier >= 0) this.#tell(peer.who, 'peer_disconnected');
      const again = mine >= 0 && earlier < 0;
      if (!again || oldRole !== this.#role(room, peer)) {
        this.#tell(peer.who, `room_ready ${this.#role(room, peer)}`);
      }
    }
    if (left !== undefined && left !== roomId) this.#remove(who, left, 'peer_left');
  }

  depart(who: string, how: 'leave' | 'disconnect'): void {
    const roomId = this.roomOf(who);
    if (roomId === undefined) return;
    if (how === 'leave') this.#tell(who, 'left_room');
    this.#remove(who, roomId, how === 'leave' ? 'peer_left' : 'peer_disconnected');
  }

  #remove(who: string, roomId: string, messages: string): void {
    const room = this.#rooms.get(roomId);
    if (!room) return;
    room.members = room.members.filter((member) => member.who !== who);
    for (const member of room.members) this.#tell(member.who, messages);
    if (room.members.length === 0) this.#rooms.delete(roomId);
  }

  #role(
    { members, paired }: { members: Member[]; paired: PairedDevices | null },
    of: Member,
  ): string {
    const others = members.filter((member) => member !== of);
    const is = (member: Member | undefined, device: string | undefined) =>
      paired !== null && member !== undefined && member.device === device;
    let initiates = members[0] === of;
    if (others.some((other) => is(other, paired?.client2))) initiates = true;
    if (is(of, paired?.client2)) initiates = false;
    if (others.some((other) => is(other, paired?.client1))) initiates = false;
    if (is(of, paired?.client1)) initiates = true;
    return initiates ? 'initiator' : 'responder';
  }

  #tell(who: string, messages: string): void {
    const list = this.#messages.get(who) ?? [];
    this.#messages.set(who, [...list, messages]);
  }
}
