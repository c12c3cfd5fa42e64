// Checks that the relayed address can be reached from outside, with one UDP packet in each direction. A wrong external IP
// or closed relay ports prevent it.
import { randomBytes } from 'node:crypto';
import { type Check, type Finding, failed, notApplicable, passed, TimeUp } from '../check.js';
import type { IceTarget } from '../ice-target.js';
import { isPrivate, withPort } from '../ip-address.js';
import { openPlainSocket, repeating, take } from '../packets.js';
import { TurnError } from '../turn-client.js';

export const relayFromOutsideCheck: Check<IceTarget> = {
  id: 'relay-from-outside',
  title: 'From outside',
  async run(target, signal) {
    const { client, allocation, ip } = target;
    if (allocation === undefined) throw new Error('no allocation');
    const { relayed, mapped } = allocation;
    if (isPrivate(relayed.ip) && !isPrivate(ip)) return wrongExternalIp(target, relayed.ip);
    try {
      // The packet will most likely come from the mapped address. A permission covers all its ports.
      await client.createPermission(mapped.ip);
    } catch (error) {
      if (!(error instanceof TurnError) || error.code !== 403) throw error;
      // Providers relay from other addresses than the one of their URL.
      return relayed.ip !== ip && !isPrivate(ip) && !target.isForeign
        ? wrongExternalIp(target, relayed.ip)
        : notApplicable(
            `the TURN server does not allow ${mapped.ip}, the address of this machine, as a peer: run the doctor from another network`,
          );
    }
    const [there, back] = [randomBytes(16), randomBytes(16)];
    const socket = await openPlainSocket(relayed);
    let arrived = false;
    try {
      const { peer } = await repeating(
        () => socket.send(there),
        () => take(client, there, signal),
      );
      arrived = true;
      await repeating(
        () => client.send(peer, back),
        () => socket.receive(back, signal),
      );
      return passed(`a packet arrived at ${withPort(relayed)}, and another one back`);
    } catch (error) {
      if (!(error instanceof TimeUp)) throw error;
      return lost(target, withPort(relayed), arrived);
    } finally {
      socket.close();
    }
  },
};

function lost(target: IceTarget, relayed: string, arrived: boolean): Finding<never> {
  if (target.udp === 'fails')
    return notApplicable('this network seems to block UDP: run the doctor from another network');
  if (arrived)
    return failed(
      `packets reach ${relayed}, but those sent from it are lost`,
      'Allow outgoing UDP from the host of coturn, in its firewall and in that of the cloud.',
    );
  const { ip } = target.allocation?.relayed ?? { ip: '' };
  if (ip !== target.ip && !target.isForeign) return wrongExternalIp(target, ip);
  return failed(
    `no packet reaches ${relayed}`,
    'Open the relay ports (TURN_MIN_PORT to TURN_MAX_PORT, 49152-65535/udp) for all addresses, in the firewall of the host and in that of the cloud.',
  );
}

function wrongExternalIp({ server, ip }: IceTarget, relayedIp: string): Finding<never> {
  const at = server.host === ip ? ip : `${server.host} (${ip})`;
  return failed(
    `the relayed address ${relayedIp} does not lead to coturn, which is at ${at}`,
    `coturn sends devices an address that is not its own. Set TURN_EXTERNAL_IP to public/private, such as ${isPrivate(ip) ? 'PUBLIC' : ip}/PRIVATE, or leave it empty if the host itself has the public address. Then restart coturn (docs/turn.md, Behind NAT).`,
  );
}
