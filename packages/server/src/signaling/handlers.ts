// What each client message does: thin, over the backplane. The table of messages is docs/protocol.md §4.
import { type JoinRoom, SIGNALING_ERRORS, type SignalingErrorCode } from '@couplet/protocol';
import { assertNever } from '../platform/assert-never.js';
import type { Logger } from '../platform/logger.js';
import type { Backplane } from './backplane.js';
import type { Connection } from './connection.js';
import type { SignalingCounters } from './counters.js';
import type { Forwarded } from './forwarded.js';
import type { Incoming } from './parse.js';
import type { PairedDevices } from './room.js';

/** Who paired a room; declared here because signaling is the one who asks. */
export interface RoomDirectory {
  /** Resolves to the two devices, or undefined where no pairing made the room. */
  find(roomId: string): Promise<PairedDevices | undefined>;
}

/** Whether a device may take a seat; asked before the room is looked at. */
export type MayJoin = (
  connection: Connection,
  roomId: string,
  deviceId: string | null,
  devices: PairedDevices | undefined,
) => boolean | Promise<boolean>;

export interface HandlerDeps {
  backplane: Backplane;
  directory: RoomDirectory;
  mayJoin: MayJoin;
  counters: SignalingCounters;
  log: Logger;
}

/** Handles one message. Only what waits for a store or a backplane is a promise: forwarding makes none. */
export function handle(
  connection: Connection,
  message: Incoming,
  deps: HandlerDeps,
): Promise<void> | undefined {
  switch (message.type) {
    case 'webrtc_offer':
    case 'webrtc_answer':
    case 'ice_candidate':
    case 'key_exchange':
    case 'key_exchange_complete':
      forward(connection, message, deps);
      return undefined;
    case 'join_room':
      return join(connection, message, deps);
    case 'leave_room':
      return leave(connection, deps);
    case 'ping':
      connection.send({ type: 'pong' });
      return undefined;
    default:
      return assertNever(message);
  }
}

export function sendFault(connection: Connection, code: SignalingErrorCode, error?: string): void {
  connection.send({ type: 'error', error: error ?? SIGNALING_ERRORS[code].text, code });
}

async function join(
  connection: Connection,
  { roomId, deviceId }: JoinRoom,
  { backplane, directory, mayJoin, log }: HandlerDeps,
): Promise<void> {
  // Only who says which device it is can be told its role by device, or take a seat over.
  const device = deviceId || null;
  const devices = device === null ? undefined : await directory.find(roomId);
  if (!(await mayJoin(connection, roomId, device, devices))) {
    sendFault(connection, 'forbidden');
    return;
  }
  // It may have gone, or been replaced, during the look-up: then its peers are not to see it come and go.
  if (!connection.open) return;
  const leaving = connection.seat?.roomId ?? null;
  const member = { connectionId: connection.id, deviceId: device };
  if (!(await backplane.join(roomId, member, devices ?? null, leaving))) {
    log.info({ conn: connection.number }, 'room full');
    return;
  }
  log.info({ conn: connection.number, paired: devices !== undefined }, 'room joined');
  // It may have gone while the join was under way, when it had no seat to be taken out of.
  if (!connection.open) await backplane.depart(roomId, connection.id, 'disconnect');
}

async function leave(connection: Connection, { backplane, log }: HandlerDeps): Promise<void> {
  if (connection.seat === null) {
    connection.send({ type: 'left_room', roomId: null });
    return;
  }
  await backplane.depart(connection.seat.roomId, connection.id, 'leave');
  log.info({ conn: connection.number }, 'room left');
}

function forward(
  connection: Connection,
  { type, json }: Forwarded,
  { backplane, counters }: HandlerDeps,
): void {
  const { seat } = connection;
  if (seat === null) {
    counters.drops.no_room += 1;
    sendFault(connection, 'not_in_room');
  } else if (seat.peerId === null) {
    counters.drops.no_peer += 1;
    sendFault(connection, 'no_peer');
  } else {
    counters.forwards[type] += 1;
    // `from` and `roomId` are the server's word.
    const frame = `${json.slice(0, -1)}${connection.signature}`;
    backplane.forward(connection.id, seat.peerId, frame);
  }
}
