// Does the TURN server allocate a relayed address for the credentials that were handed out (RFC 8656 §7)?
import { type Check, type Finding, failed, passed } from '../check.js';
import type { IceTarget } from '../ice-target.js';
import { withPort } from '../ip-address.js';
import { TurnError } from '../turn-client.js';

export const allocationCheck: Check<IceTarget> = {
  id: 'allocation',
  title: 'Allocation',
  async run(target) {
    if (target.credentials === undefined)
      return failed(
        'handed out without credentials',
        'Browsers refuse the whole list then. In ICE_SERVERS_EXTRA a TURN server needs username and credential; your own coturn belongs into TURN_URLS with TURN_SECRET.',
      );
    try {
      target.allocation = await target.client.allocate();
      return passed(`relays from ${withPort(target.allocation.relayed)}`);
    } catch (error) {
      if (error instanceof TurnError) return refused(error, target.credentials.username);
      throw error;
    }
  },
};

function refused({ code }: TurnError, username: string): Finding<never> {
  const detail = `the allocation was refused with ${code}`;
  switch (code) {
    case 401: {
      const expiry = Number(/^(\d+)(:|$)/.exec(username)?.[1] ?? Number.POSITIVE_INFINITY);
      if (expiry * 1000 < Date.now())
        return failed(
          `${detail}: by the clock of this machine the credentials have expired already`,
          'The clock of the server is wrong, or that of this machine: set both by NTP.',
        );
      return failed(
        `${detail}: the credentials are not good`,
        'coturn and the server must have the same TURN_SECRET: set it, restart coturn, then the server. If it is the same, compare their clocks. For a server of ICE_SERVERS_EXTRA, correct its username and credential.',
      );
    }
    case 403:
      return failed(
        detail,
        'coturn forbids it to this machine: see denied addresses in its configuration.',
      );
    case 486:
      return failed(
        `${detail}: a quota is used up`,
        'Too many allocations are open, or the bandwidth is given away: see user-quota, total-quota and bps-capacity in turn-server/turnserver.conf.',
      );
    case 508:
      return failed(
        `${detail}: no relay port is left`,
        'Widen TURN_MIN_PORT to TURN_MAX_PORT, and open the ports in the firewalls.',
      );
    default:
      return failed(detail, 'The log of coturn says more, with TURN_VERBOSE=1.');
  }
}
