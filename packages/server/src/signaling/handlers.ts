// Handles each client message through the backplane. The table of messages is docs/protocol.md §4.
import { type JoinRoom, SIGNALING_ERRORS, type SignalingErrorCode } from '@couplet/protocol';
import { assertNever } from '../base/assert-never.js';
import { judgeClaim, type PairedSecrets } from '../base/device-secrets.js';
import type { Backplane } from './backplane.js';
import type { Incoming } from './parse.js';
import type { PairedDevices } from './room.js';
import type { Forwarded } from './serialize.js';
import type { SignalingServices } from './services.js';
import type { Connection } from './websocket/connection.js';

/** Finds the devices of a paired room. */
export interface RoomDirectory {
  /** Resolves to the two devices, or undefined if no pairing made the room. */
  find(roomId: string): Promise<PairedSecrets | undefined>;
  /** Requires proof of a device from now on; durable once it resolves. */
  prove(roomId: string, deviceId: string): Promise<unknown>;
}

/** Wakes the other device of a paired room. */
export interface Waker {
  /** Call this after each join. Wakes the other device if the connection stays alone. */
  joined(connection: Connection): void;
  /** Wakes the other device now. Resolves to `sent`, or to the error code of the reason. Never rejects. */
  wake(connection: Connection): Promise<'sent' | SignalingErrorCode>;
}

export interface HandlerDeps extends SignalingServices {
  backplane: Backplane;
  directory: RoomDirectory;
  waker: Waker;
}

/** Handles one message. Returns a promise only if it waits for a store or a backplane; forwarding does not. */
export function handle(
  connection: Connection,
  message: Incoming,
  deps: HandlerDeps,
): Promise<void> | undefined {
  if ('json' in message) {
    forward(connection, message, deps);
    return undefined;
  }
  switch (message.type) {
    case 'join_room':
      return join(connection, message, deps);
    case 'leave_room':
      return leave(connection, deps);
    case 'ping_peer':
      // Later messages do not wait for it, because the push service may take seconds and the peer may join in the meantime.
      void pingPeer(connection, deps);
      return undefined;
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
  { roomId, deviceId, secret }: JoinRoom,
  deps: HandlerDeps,
): Promise<void> {
  const { backplane, directory, waker, config, log } = deps;
  const device = deviceId || null;
  // Also for a joiner that names no device: the seats may be reserved for proved devices.
  const pair = await directory.find(roomId);
  const claim = pair && judgeClaim(pair, device, secret || undefined);
  const isRefused =
    claim?.kind === 'refused' ||
    (claim !== undefined && claim.kind !== 'proved' && config.requireDeviceSecrets) ||
    !(await mayJoin(connection, roomId, device, pair, deps));
  if (isRefused) {
    sendFault(connection, 'forbidden');
    return;
  }
  const isProved = claim?.kind === 'proved';
  // Before it has its seat, so the client never relies on a proof that is not durable.
  if (isProved && claim.isNew && device !== null) await directory.prove(roomId, device);
  // If the connection closed meanwhile, its peers must not be told that it came and left.
  if (!connection.open) return;
  const leaving = connection.seat?.roomId ?? null;
  const member = { connectionId: connection.id, deviceId: device, isProved };
  const devices = pair === undefined ? null : devicesOf(pair, isProved ? device : null);
  if (!(await backplane.join(roomId, member, devices, leaving))) {
    if (connection.budget.mayLog()) log.info({ conn: connection.number }, 'join refused');
    return;
  }
  if (connection.budget.mayLog())
    log.info({ conn: connection.number, paired: pair !== undefined }, 'room joined');
  // If it closed during the join, it had no seat to give up then.
  if (!connection.open) await backplane.depart(roomId, connection.id, 'disconnect');
  else waker.joined(connection);
}

/** With paired rooms required, only the two devices of the room may join; the application decides on each join. */
function mayJoin(
  { request }: Connection,
  roomId: string,
  deviceId: string | null,
  devices: PairedSecrets | undefined,
  { config, gate }: HandlerDeps,
): boolean | Promise<boolean> {
  if (config.requirePairedRooms) {
    const paired = devices !== undefined && deviceId !== null;
    if (!paired || (deviceId !== devices.client1 && deviceId !== devices.client2)) return false;
  }
  if (gate.join === undefined || request === undefined) return true;
  return gate.join({ request, roomId, deviceId });
}

/** The paired devices for the room; `proved` is a device that has just proved itself. */
function devicesOf(pair: PairedSecrets, proved: string | null): PairedDevices {
  const { client1, client2, secret1, secret2 } = pair;
  return {
    client1,
    client2,
    proved1: secret1?.isProved || client1 === proved,
    proved2: secret2?.isProved || client2 === proved,
  };
}

async function leave(connection: Connection, { backplane, log }: HandlerDeps): Promise<void> {
  if (connection.seat === null) {
    connection.send({ type: 'left_room', roomId: null });
    return;
  }
  await backplane.depart(connection.seat.roomId, connection.id, 'leave');
  if (connection.budget.mayLog()) log.info({ conn: connection.number }, 'room left');
}

async function pingPeer(connection: Connection, { waker }: HandlerDeps): Promise<void> {
  const outcome = await waker.wake(connection);
  if (outcome !== 'sent') sendFault(connection, outcome);
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
    // The server sets `from` and `roomId`; the client's values are ignored.
    const frame = `${json.slice(0, -1)}${connection.senderFields}`;
    if (backplane.forward(connection.id, seat.peerId, frame)) counters.forwards[type] += 1;
  }
}
