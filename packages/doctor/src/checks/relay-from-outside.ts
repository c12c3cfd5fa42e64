// Can others reach the relayed address? A plain packet is sent to it, and one goes back: what a wrong external IP and closed relay ports prevent.
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
      // The address from which the packet will come, as far as one can know; any of its ports may.
      await client.createPermission(mapped.ip);
    } catch (error) {
      if (!(error instanceof TurnError) || error.code !== 403) throw error;
      return relayed.ip !== ip && !isPrivate(ip)
        ? wrongExternalIp(target, relayed.ip)
        : notApplicable(
            `coturn lets no address like ${mapped.ip}, which is this machine's, be a peer: run the doctor from another network`,
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
      return passed(`a packet sent to ${withPort(relayed)} came in, and one went back`);
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
    return notApplicable('no UDP leaves this network, as it seems: run the doctor from another');
  if (arrived)
    return failed(
      `packets reach ${relayed}, but those sent from it are lost`,
      'Let UDP out of the host of coturn, in its firewall and in that of the cloud.',
    );
  const { ip } = target.allocation?.relayed ?? { ip: '' };
  if (ip !== target.ip) return wrongExternalIp(target, ip);
  return failed(
    `no packet reaches ${relayed}`,
    'Open the relay ports (TURN_MIN_PORT to TURN_MAX_PORT, 49152-65535/udp) for everyone, in the firewall of the host and in that of the cloud.',
  );
}

function wrongExternalIp({ server, ip }: IceTarget, relayedIp: string): Finding<never> {
  const at = server.host === ip ? ip : `${server.host} (${ip})`;
  return failed(
    `the relayed address ${relayedIp} does not lead to coturn, which is at ${at}`,
    `coturn tells devices an address that is not its own. Set TURN_EXTERNAL_IP to public/private, such as ${isPrivate(ip) ? 'PUBLIC' : ip}/PRIVATE, or leave it empty where the host has its public address itself; then restart coturn (docs/turn.md, Behind NAT).`,
  );
}
