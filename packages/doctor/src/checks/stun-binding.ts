// Checks that the STUN or TURN server answers, and returns the mapped address of this machine (RFC 8489 §12).
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
      // Some TURN servers require credentials for a binding. Their error is an answer too.
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
    advice: `Open ${port} for all addresses, in the firewall of the host and in that of the cloud (docs/turn.md, Ports), and check that ${server.host}${ip && ip !== server.host ? ` (here ${ip})` : ''} is the host of coturn.${transport === 'udp' ? ' If other UDP URLs fail too, this network may block UDP.' : ''}`,
  };
}

function closed({ port, server, transport }: IceTarget): Fault {
  const detail = `nothing listens on ${port} of ${server.host}`;
  if (transport === 'tls')
    return {
      detail,
      advice:
        'coturn listens for TLS only with a certificate. Set TURN_TLS_CERT and TURN_TLS_KEY, check that coturn can read both, and restart it. Otherwise remove the turns: URL from TURN_URLS.',
    };
  return {
    detail,
    advice:
      'coturn does not run, or listens on another port. Check `docker compose logs coturn` or `journalctl -u couplet-turn`. The port in TURN_URLS and STUN_URLS must match TURN_PORT.',
  };
}
