// Implements a room of the server for two devices, in memory, with faults between them.
import { FakeSocket } from './fake-socket.js';

type Message = { type: string; [field: string]: unknown };

/** What happens to a forwarded message. */
export type Fault =
  /** It is lost, with the connection that it was sent over. */
  | 'lost by the sender'
  | 'lost by the receiver'
  | 'twice'
  /** It arrives, and then a page is reloaded, or a connection breaks. */
  | 'then the sender reconnects'
  | 'then the receiver reconnects'
  | 'then the sender reloads'
  | 'then the receiver reloads'
  /** The page is reloaded before the message arrives. */
  | 'the receiver reloads';

export class FakeRoom {
  readonly #members = new Map<string, RoomSocket>();
  readonly #initiator: string;
  /** Called for each forwarded message. */
  fault: (message: Message, from: string) => Fault | undefined = () => undefined;
  /** Called when a page has to be reloaded. */
  reload: (deviceId: string) => void = () => {};

  constructor(initiator: string) {
    this.#initiator = initiator;
  }

  /** The WebSocket class of a device. */
  socketOf(deviceId: string): new () => RoomSocket {
    return RoomSocket.bind(null, this, deviceId);
  }

  /** Closes the connection of a device without a message of it. */
  cut(deviceId: string): void {
    const socket = this.#members.get(deviceId);
    if (!socket) return;
    this.drop(deviceId, socket);
    socket.lose();
  }

  take(from: string, socket: RoomSocket, message: Message): void {
    if (message.type === 'ping') socket.hear({ type: 'pong' });
    else if (message.type === 'leave_room') this.drop(from, socket, 'peer_left');
    else if (message.type === 'join_room') this.#join(from, socket);
    else if (this.#members.get(from) === socket) this.#forward(from, message);
  }

  #join(from: string, socket: RoomSocket): void {
    this.#members.set(from, socket);
    socket.hear({ type: 'room_joined' });
    if (this.#members.size < 2) return;
    for (const [deviceId, member] of this.#members) {
      member.hear({ type: 'room_ready', isInitiator: deviceId === this.#initiator });
    }
  }

  #forward(from: string, message: Message): void {
    const [to, receiver] = [...this.#members].find(([deviceId]) => deviceId !== from) ?? [];
    if (to === undefined || receiver === undefined) return;
    const fault = this.fault(message, from);
    if (fault === 'lost by the sender') this.cut(from);
    else if (fault === 'lost by the receiver') this.cut(to);
    else if (fault === 'the receiver reloads') this.reload(to);
    else {
      receiver.hear({ ...message, from });
      if (fault === 'twice') receiver.hear({ ...message, from });
      const device = fault?.startsWith('then the sender') ? from : to;
      // After the receiver has handled the message.
      if (fault?.endsWith('reconnects')) receiver.after(() => this.cut(device));
      if (fault?.endsWith('reloads')) receiver.after(() => this.reload(device));
    }
  }

  drop(deviceId: string, socket: RoomSocket, type = 'peer_disconnected'): void {
    if (this.#members.get(deviceId) !== socket) return;
    this.#members.delete(deviceId);
    for (const member of this.#members.values()) member.hear({ type });
  }
}

class RoomSocket extends FakeSocket {
  constructor(
    readonly room: FakeRoom,
    readonly deviceId: string,
  ) {
    super();
    this.after(() => this.open());
  }

  override send(data: string): void {
    // Messages of one socket stay in order, because immediates run in order.
    this.after(() => this.room.take(this.deviceId, this, JSON.parse(data)));
  }

  override close(): void {
    setImmediate(() => {
      super.close();
      this.room.drop(this.deviceId, this);
    });
  }

  /** Delivers a message of the room. */
  hear(message: Message): void {
    this.after(() => this.say(message));
  }

  after(act: () => void): void {
    setImmediate(() => {
      if (!this.closed) act();
    });
  }

  override lose(): void {
    super.close();
    super.lose();
  }
}
