// Describes the results of the ICE server tests to the user.
import { isTurn, type ProbeResult } from './ice-probe.js';

export type Tone = 'good' | 'warning' | 'bad';

export interface Finding {
  tone: Tone;
  text: string;
}

/** Returns the transport of an ICE server URL such as `turn:host?transport=tcp`. */
export function transportOf(url: string): 'UDP' | 'TCP' | 'TLS' {
  if (/^(turns|stuns):/i.test(url)) return 'TLS';
  return /[?&]transport=tcp\b/i.test(url) ? 'TCP' : 'UDP';
}

/** Describes a code of `icecandidateerror`: of STUN and TURN (RFC 8489, RFC 8656), or 701 from the browser. */
export function errorWords(code: number | undefined): string {
  switch (code) {
    case undefined:
      return 'No answer in time, and the browser gave no reason.';
    case 300:
      return 'The server redirects all clients to another server (300).';
    case 400:
      return 'The server did not understand the request (400).';
    case 401:
      return 'The server refuses the credentials (401). Its secret may differ, or a clock is wrong.';
    case 403:
      return 'The server forbids it (403).';
    case 437:
      return 'The server has another allocation for this port (437). Try again in a minute.';
    case 438:
      return 'The server requested a fresh nonce repeatedly (438).';
    case 441:
      return 'The credentials changed during the request (441). Try again.';
    case 442:
      return 'The server does not support this transport (442).';
    case 486:
      return 'The quota of this user is used up (486). Try again in some minutes.';
    case 508:
      return 'The server has no free ports left (508).';
    case 701:
      return 'No answer (701): the address is wrong, the server is down, or a firewall is in between.';
    default:
      return code >= 500
        ? `The server has an internal problem (${code}).`
        : `The server refused (${code}).`;
  }
}

/** Describes the result of one server. */
export function probeWords(result: ProbeResult): { tone: Tone; verdict: string; text: string } {
  const { url, outcome } = result;
  const how = transportOf(url);
  if (outcome === 'works') {
    return {
      tone: 'good',
      verdict: 'works',
      text: isTurn(url)
        ? `Relays over ${how}.`
        : 'Returns the address of this device as seen from outside.',
    };
  }
  if (outcome === 'nothing-new') {
    return {
      tone: 'good',
      verdict: 'nothing new',
      text: 'No error, and no other address. This device is probably not behind a NAT.',
    };
  }
  return { tone: 'bad', verdict: 'does not work', text: errorWords(result.errorCode) };
}

/** Summarizes all results: which connections work in this network. */
export function findings(results: readonly ProbeResult[]): Finding[] {
  return [...turnFindings(results), ...stunFindings(results)];
}

function turnFindings(results: readonly ProbeResult[]): Finding[] {
  const turn = results.filter(({ url }) => isTurn(url));
  const works = turn.filter(({ outcome }) => outcome === 'works');
  if (turn.length === 0) {
    return [
      {
        tone: 'warning',
        text: 'This server provides no TURN server. Behind strict firewalls, and in some mobile networks, devices cannot reach each other.',
      },
    ];
  }
  if (works.length === 0) {
    const refused = turn.some(({ errorCode }) => errorCode === 401);
    return [
      {
        tone: 'bad',
        text: refused
          ? 'No relay: the TURN server answers, but refuses the credentials. The operator of this site must fix this.'
          : 'No relay answers. If direct connections are blocked, devices cannot connect.',
      },
    ];
  }
  const found: Finding[] = [
    { tone: 'good', text: 'A relay is available: connections work even behind strict firewalls.' },
  ];
  const tried = (how: string) => turn.filter(({ url }) => transportOf(url) === how);
  const over = (how: string) => works.some(({ url }) => transportOf(url) === how);
  if (tried('UDP').length > 0 && !over('UDP')) {
    found.push({
      tone: 'warning',
      text: 'UDP seems to be blocked in this network. Everything uses TCP instead, which may reduce the quality of calls.',
    });
  }
  if (over('TLS')) {
    found.push({
      tone: 'good',
      text: 'The relay also works over TLS, like any web page. This is enough if a network blocks everything else.',
    });
  }
  return found;
}

function stunFindings(results: readonly ProbeResult[]): Finding[] {
  const stun = results.filter(({ url }) => !isTurn(url));
  if (stun.length === 0) {
    const isAlone = results.length === 0;
    return isAlone
      ? [
          {
            tone: 'warning',
            text: 'The server provides no STUN server either. Only devices on the same network can connect.',
          },
        ]
      : [];
  }
  if (stun.some(({ outcome }) => outcome !== 'fails')) {
    return [
      {
        tone: 'good',
        text: 'STUN works: most devices can reach this one directly across the internet.',
      },
    ];
  }
  return [
    {
      tone: 'warning',
      text: 'STUN does not answer. UDP seems to be blocked, and direct connections are unlikely.',
    },
  ];
}
