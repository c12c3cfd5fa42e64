// Checks that the TURN server creates an allocation with the provided credentials (RFC 8656 §7).
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
        'provided without credentials',
        'Browsers then refuse the whole list. In ICE_SERVERS_EXTRA a TURN server needs username and credential. Set your own coturn in TURN_URLS, with TURN_SECRET.',
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
          `${detail}: the credentials have already expired by the clock of this machine`,
          'The clock of the server or of this machine is wrong. Set both by NTP.',
        );
      return failed(
        `${detail}: the credentials are wrong`,
        'coturn and the server must have the same TURN_SECRET: set it, restart coturn, then the server. If it is the same, compare their clocks.',
      );
    }
    case 403:
      return failed(
        detail,
        'coturn forbids it for this machine. Check the denied addresses in its configuration.',
      );
    case 486:
      return failed(
        `${detail}: a quota is used up`,
        'Too many allocations are open, or the bandwidth is used up. Check user-quota, total-quota and bps-capacity in turn-server/turnserver.conf.',
      );
    case 508:
      return failed(
        `${detail}: no relay port is left`,
        'Extend the range TURN_MIN_PORT to TURN_MAX_PORT, and open the ports in the firewalls.',
      );
    default:
      return failed(detail, 'Set TURN_VERBOSE=1 and check the log of coturn.');
  }
}
