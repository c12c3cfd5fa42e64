// Configuration, user and time → what goes into RTCPeerConnection: STUN servers, TURN servers with fresh credentials, further ones.
import type { RTCIceServer } from '@couplet/protocol';
import type { Clock } from '../platform/clock.js';
import type { Config } from '../platform/config.js';
import { opaqueUserId, turnCredentials } from './credentials.js';

/** The settings that decide what is handed out. */
export type IceServerConfig = Pick<
  Config,
  | 'turnSecrets'
  | 'turnUrls'
  | 'stunUrls'
  | 'turnTtlSeconds'
  | 'iceServersExtra'
  | 'iceServersForAll'
>;

/** The ICE servers for one party of a room, `nowMs` on. Without TURN there are still the STUN servers. */
export function iceServers(
  config: IceServerConfig,
  roomId: string,
  party: string,
  nowMs: number,
): RTCIceServer[] {
  const servers: RTCIceServer[] = [];
  if (config.stunUrls.length > 0) servers.push({ urls: [...config.stunUrls] });
  const [secret] = config.turnSecrets;
  if (secret !== undefined) {
    const expiresAtSeconds = Math.floor(nowMs / 1000) + config.turnTtlSeconds;
    const userId = opaqueUserId(secret, roomId, party);
    servers.push({
      urls: [...config.turnUrls],
      ...turnCredentials(secret, userId, expiresAtSeconds),
    });
  }
  const extra = config.iceServersExtra.map(({ urls, username, credential }) => ({
    urls,
    ...(username === undefined ? {} : { username }),
    ...(credential === undefined ? {} : { credential }),
  }));
  return [...servers, ...extra];
}

/** A member of a room as signaling knows it. */
export interface MemberSeat {
  roomId: string;
  /** Null where nobody vouches for the member. */
  pairedDevice: string | null;
}

export interface IceServersByRoom {
  readonly ttlSeconds: number;
  /** For a device that is known to be one of the room's two; the same again for the same time. By default, now. */
  forDevice(roomId: string, deviceId: string, nowMs?: number): RTCIceServer[];
  /** For a connection that sits in a room: none, unless it is a paired device or the configuration serves everyone. */
  for(seat: MemberSeat, connectionId: string): RTCIceServer[];
}

export function createIceServers(config: IceServerConfig, clock: Clock): IceServersByRoom {
  const forDevice = (roomId: string, deviceId: string, nowMs = clock.now()) =>
    iceServers(config, roomId, `device ${deviceId}`, nowMs);
  return {
    ttlSeconds: config.turnTtlSeconds,
    forDevice,
    for({ roomId, pairedDevice }, connectionId) {
      if (pairedDevice !== null) return forDevice(roomId, pairedDevice);
      if (!config.iceServersForAll) return [];
      // What such a member says of its device is only a claim: by connection, it cannot use up another's quota.
      return iceServers(config, roomId, `connection ${connectionId}`, clock.now());
    },
  };
}
