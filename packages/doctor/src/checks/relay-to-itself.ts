// Checks that the TURN server relays: sends a packet from the allocation to its own relayed address.
import { randomBytes } from 'node:crypto';
import { type Check, failed, passed } from '../check.js';
import type { IceTarget } from '../ice-target.js';
import { isPrivate } from '../ip-address.js';
import { repeating, take } from '../packets.js';
import { TurnError } from '../turn-client.js';

export const relayToItselfCheck: Check<IceTarget> = {
  id: 'relay-to-itself',
  title: 'Relayed packet',
  late: () => ({
    detail: 'a packet from the allocation to itself was lost',
    advice:
      'The host of coturn cannot reach its own relay ports. Allow UDP from the host to itself in its firewall, and check that TURN_EXTERNAL_IP has the actual private address of the host.',
  }),
  async run({ client, allocation }, signal) {
    if (allocation === undefined) throw new Error('no allocation');
    const { relayed } = allocation;
    try {
      await client.createPermission(relayed.ip);
    } catch (error) {
      if (!(error instanceof TurnError) || error.code !== 403) throw error;
      return failed(
        `the TURN server does not allow its own address ${relayed.ip} as a peer (403)`,
        isPrivate(relayed.ip)
          ? `${relayed.ip} is a private address. Behind NAT set TURN_EXTERNAL_IP=public/${relayed.ip} (docs/turn.md); in a private network without NAT, TURN_ALLOWED_PEERS=${relayed.ip}; for development on one machine, npm run turn -- --allow-loopback.`
          : 'Two devices that both need the relay cannot connect. Set both parts of TURN_EXTERNAL_IP, public/private, or remove the address from denied-peer-ip.',
      );
    }
    const packet = randomBytes(16);
    await repeating(
      () => client.send(relayed, packet),
      () => take(client, packet, signal),
    );
    return passed('sent from the allocation and received by it');
  },
};
