// Does the TURN server relay? A packet goes out of the allocation, to the relayed address itself, and comes back in.
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
      'The host of coturn cannot reach its own relay ports: let UDP from the host to itself through its firewall, and see that TURN_EXTERNAL_IP names the private address that the host really has.',
  }),
  async run({ client, allocation }, signal) {
    if (allocation === undefined) throw new Error('no allocation');
    const { relayed } = allocation;
    try {
      await client.createPermission(relayed.ip);
    } catch (error) {
      if (!(error instanceof TurnError) || error.code !== 403) throw error;
      return failed(
        `coturn does not let its own address ${relayed.ip} be a peer (403)`,
        isPrivate(relayed.ip)
          ? `${relayed.ip} is a private address. Behind NAT set TURN_EXTERNAL_IP=public/${relayed.ip} (docs/turn.md); in a private network without NAT, TURN_ALLOWED_PEERS=${relayed.ip}; for development on one machine, npm run turn -- --allow-loopback.`
          : 'Two devices that both need the relay cannot meet. TURN_EXTERNAL_IP must have both halves, public/private; or take the address out of denied-peer-ip.',
      );
    }
    const packet = randomBytes(16);
    await repeating(
      () => client.send(relayed, packet),
      () => take(client, packet, signal),
    );
    return passed('went out of the allocation and came back into it');
  },
};
