// Does the STUN or TURN server answer, and where does it see this machine (RFC 8489 §12)?
import { type Check, orAborted, passed } from '../check.js';
import type { IceTarget } from '../ice-target.js';
import type { Fault } from '../network-faults.js';
import { TurnError } from '../turn-client.js';

export const stunBindingCheck: Check<IceTarget> = {
  id: 'stun-binding',
  title: 'STUN binding',
  late: (target) => ({ detail: `${target.port} does not answer`, advice: silence(target).advice }),
  async run(target, signal) {
    try {
      const client = await target.connect(signal);
      const { ip } = await orAborted(signal, client.binding());
      return passed(`sees this machine as ${ip}`);
    } catch (error) {
      // A TURN server that tells its address to nobody without credentials answers all the same.
      if (error instanceof TurnError && target.kind === 'turn') return passed('answers');
      if ((error as { code?: string }).code === 'ECONNREFUSED')
        return { status: 'failed', ...closed(target) };
      throw error;
    }
  },
};

function silence({ port, server, transport, ip }: IceTarget): Fault {
  return {
    detail: `${port} does not answer`,
    advice: `Open ${port} for everyone, in the firewall of the host and in that of the cloud (docs/turn.md, Ports), and see that ${server.host}${ip && ip !== server.host ? ` (here ${ip})` : ''} is the host of coturn.${transport === 'udp' ? ' If other UDP URLs fail too, it may be this network that lets no UDP out.' : ''}`,
  };
}

function closed({ port, server, transport }: IceTarget): Fault {
  const detail = `nothing listens on ${port} of ${server.host}`;
  if (transport === 'tls')
    return {
      detail,
      advice:
        'coturn listens for TLS only with a certificate: set TURN_TLS_CERT and TURN_TLS_KEY, see that it may read both, and restart it; else take the turns: URL out of TURN_URLS.',
    };
  return {
    detail,
    advice:
      'coturn does not run, or listens elsewhere: `docker compose logs coturn` says why, and the port in TURN_URLS and STUN_URLS must be that of TURN_PORT.',
  };
}
