// Creates the ICE servers for RTCPeerConnection: STUN servers, TURN servers with credentials, and configured extra servers.
import type { RTCIceServer } from '@couplet/protocol';
import type { Clock } from '../base/clock.js';
import { Quota } from '../limits/quota.js';
import type { Config } from '../settings/config.js';
import { expiryOf, opaqueUserId, turnCredentials } from './credentials.js';
import type { ManagedServers } from './managed-servers.js';

/** The `ttl` of an answer without the servers of the provider and without credentials. It is short so that clients ask again soon. */
const ASK_AGAIN_SECONDS = 60;

/** Maximum number of addresses in memory, and of users. A user that was removed counts again. */
const MAX_REMEMBERED = 100_000;

export type IceServersByRoom = ReturnType<typeof createIceServers>;

/** @param provider - the servers of a TURN provider; while there are any, they replace those of the settings */
export function createIceServers(
  config: Config,
  clock: Clock,
  provider?: Pick<ManagedServers, 'current'>,
) {
  const { turnSecrets, turnTtlSeconds } = config;
  const [secret] = turnSecrets;
  const quota = new Quota(config.maxTurnCredentialsPerHour, clock, MAX_REMEMBERED);
  /** The addresses and users that were counted. */
  const counted = new Set<string>();
  /** Counts a user of an address, once, and returns 0; or returns the seconds that the address must wait. */
  const countUser = (address: string, username: string): number => {
    const name = `${address} ${username}`;
    const wait = counted.has(name) ? 0 : quota.take(address);
    if (wait === 0) counted.add(name);
    const [oldest] = counted;
    if (counted.size > MAX_REMEMBERED) counted.delete(oldest as string);
    return wait;
  };
  const stun = config.stunUrls.length > 0 ? [{ urls: [...config.stunUrls] }] : [];
  const extra = config.iceServersExtra.map(({ urls, username, credential }) => ({
    urls,
    ...(username === undefined ? {} : { username }),
    ...(credential === undefined ? {} : { credential }),
  }));

  /** `ttlSeconds`: for how long the credentials open new allocations. `limited`: the address has its maximum of TURN users. */
  const grant = (
    address: string,
    roomId: string,
    party: string,
    nowMs: number,
  ):
    | { kind: 'granted'; iceServers: RTCIceServer[]; ttlSeconds: number }
    | { kind: 'limited'; waitSeconds: number } => {
    // All clients get the same credentials, so the number of users of an address need not be limited.
    const provided = provider?.current();
    if (provided !== undefined) {
      const { iceServers, ttlSeconds } = provided;
      return { kind: 'granted', iceServers: [...iceServers, ...extra], ttlSeconds };
    }
    if (secret === undefined) {
      const ttlSeconds = provider === undefined ? turnTtlSeconds : ASK_AGAIN_SECONDS;
      return { kind: 'granted', iceServers: [...stun, ...extra], ttlSeconds };
    }
    const userId = opaqueUserId(secret, roomId, party);
    const nowSeconds = Math.floor(nowMs / 1000);
    const expiresAt = expiryOf(userId, turnTtlSeconds, nowSeconds);
    const credentials = turnCredentials(secret, userId, expiresAt);
    const waitSeconds = countUser(address, credentials.username);
    if (waitSeconds > 0) return { kind: 'limited', waitSeconds };
    const turn = { urls: [...config.turnUrls], ...credentials };
    return {
      kind: 'granted',
      iceServers: [...stun, turn, ...extra],
      ttlSeconds: expiresAt - nowSeconds,
    };
  };

  return {
    /**
     * For a verified device of the room. The same `nowMs`, by default the current time, gives the same credentials of
     * coturn.
     */
    forDevice: (address: string, roomId: string, deviceId: string, nowMs = clock.now()) =>
      grant(address, roomId, `device ${deviceId}`, nowMs),

    /**
     * For a connection in a room, which is a paired device only if `pairedDevice` is set. Empty unless it is one, or
     * ICE_SERVERS_FOR_ALL is set. Has no TURN servers if its address has reached the limit of TURN users.
     */
    for(
      { roomId, pairedDevice }: { roomId: string; pairedDevice: string | null },
      { id, address }: { id: string; address: string },
    ): RTCIceServer[] {
      if (pairedDevice === null && !config.iceServersForAll) return [];
      // The device id of an unverified member is only a claim. Its quota is counted by connection, so that it cannot use
      // up the quota of another device.
      const party = pairedDevice === null ? `connection ${id}` : `device ${pairedDevice}`;
      const given = grant(address, roomId, party, clock.now());
      return given.kind === 'granted' ? given.iceServers : [...stun, ...extra];
    },
  };
}
