// A simple model of the room rules, written from docs/protocol.md and not from room.ts; the two must agree.
import type { PairedDevices, Seat } from '../../src/signaling/room.js';

interface Sitter {
  who: string;
  device: string | null;
}

/** Rooms as plain lists, with the messages that each client should have received since the last `take`. */
export class RoomModel {
  readonly #rooms = new Map<string, { sitters: Sitter[]; paired: PairedDevices | null }>();
  readonly #messages = new Map<string, string[]>();

  roomOf(who: string): string | undefined {
    for (const [roomId, { sitters }] of this.#rooms) {
      if (sitters.some((sitter) => sitter.who === who)) return roomId;
    }
    return undefined;
  }

  seatOf(who: string): Seat | null {
    const roomId = this.roomOf(who);
    if (roomId === undefined) return null;
    const { sitters, paired } = this.#rooms.get(roomId) ?? { sitters: [], paired: null };
    const peer = sitters.find((sitter) => sitter.who !== who);
    const device = sitters.find((sitter) => sitter.who === who)?.device ?? null;
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
    const room = this.#rooms.get(roomId) ?? { sitters: [], paired: null };
    const mine = room.sitters.findIndex((sitter) => sitter.who === who);
    const earlier = room.sitters.findIndex(
      (sitter) => sitter.who !== who && device !== null && sitter.device === device,
    );
    if (mine < 0 && earlier < 0 && room.sitters.length === 2) {
      this.#tell(who, 'room_full');
      return;
    }
    const roleBefore = (sitter: Sitter) => this.#role(room, sitter);
    const peerBefore = room.sitters.find((sitter) => sitter.who !== who);
    const oldRole = peerBefore && roleBefore(peerBefore);

    this.#rooms.set(roomId, room);
    if (paired) room.paired = paired;
    if (earlier >= 0) {
      this.#tell((room.sitters[earlier] as Sitter).who, 'close replaced');
      room.sitters[earlier] = { who, device };
      if (mine >= 0) room.sitters.splice(mine, 1);
    } else if (mine >= 0) {
      const sitter = room.sitters[mine] as Sitter;
      if (device !== null) sitter.device = device;
    } else {
      room.sitters.push({ who, device });
    }

    const me = room.sitters.find((sitter) => sitter.who === who) as Sitter;
    const peer = room.sitters.find((sitter) => sitter.who !== who);
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
    room.sitters = room.sitters.filter((sitter) => sitter.who !== who);
    for (const sitter of room.sitters) this.#tell(sitter.who, messages);
    if (room.sitters.length === 0) this.#rooms.delete(roomId);
  }

  #role(
    { sitters, paired }: { sitters: Sitter[]; paired: PairedDevices | null },
    of: Sitter,
  ): string {
    const others = sitters.filter((sitter) => sitter !== of);
    const is = (sitter: Sitter | undefined, device: string | undefined) =>
      paired !== null && sitter !== undefined && sitter.device === device;
    let initiates = sitters[0] === of;
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
