// What a failed connection means, in plain words: refused, unknown, reset, and every fault of a certificate.

import { shownCertificate } from './certificate.js';
import type { Endpoint } from './site.js';

export interface Fault {
  /** What was seen. */
  detail: string;
  /** What to do about it, in plain words. */
  advice: string;
}

interface Where {
  server: Endpoint;
}

/** Puts an error of a socket, of TLS or of HTTP into words; asks once more for a certificate that was refused. */
export async function explainFault(error: unknown, { server }: Where): Promise<Fault> {
  const code = codeOf(error);
  const at = `${server.host} port ${server.port}`;
  switch (code) {
    case 'ECONNREFUSED':
      return {
        detail: `nothing listens at ${at}`,
        advice: 'Start it, or correct the port; in a container, see that the port is published.',
      };
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return {
        detail: `the name ${server.host} is unknown`,
        advice: `Correct the name, or add it to your DNS; \`getent hosts ${server.host}\` shows what this machine knows.`,
      };
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return {
        detail: `there is no way to ${server.host} from here`,
        advice: 'Look at the network of this machine, and at where the name leads.',
      };
    case 'ECONNRESET':
    case 'EPIPE':
      return {
        detail: `${at} hung up without an answer`,
        advice:
          'Something else listens there, a proxy has nothing behind it, or one end speaks TLS and the other does not.',
      };
    case 'EPROTO':
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
      return {
        detail: `${at} does not speak TLS`,
        advice: 'Use http:// (for TURN: turn:) for this port, or the port where TLS is spoken.',
      };
    default:
      if (code?.startsWith('HPE_'))
        return {
          detail: `${at} does not answer in HTTP`,
          advice: 'Something else listens there, or the port speaks TLS: try https://.',
        };
      return (await certificateFault(code, server)) ?? unexpected(error, at);
  }
}

async function certificateFault(
  code: string | undefined,
  server: Endpoint,
): Promise<Fault | undefined> {
  switch (code) {
    case 'CERT_HAS_EXPIRED': {
      const until = (await shownCertificate(server))?.validTo;
      return {
        detail: `the certificate of ${server.host} port ${server.port} expired${until ? ` on ${day(until)}` : ''}`,
        advice:
          'Renew it (`certbot renew`, say), reload what shows it, and see why the renewal did not happen by itself.',
      };
    }
    case 'CERT_NOT_YET_VALID':
      return {
        detail: `the certificate of ${server.host} port ${server.port} is not valid yet`,
        advice: 'Compare the clock of this machine with the time; else get a new certificate.',
      };
    case 'ERR_TLS_CERT_ALTNAME_INVALID': {
      const names = (await shownCertificate(server))?.names.join(', ');
      return {
        detail: `the certificate at port ${server.port} is not for ${server.host}${names ? ` but for ${names}` : ''}`,
        advice: `Get a certificate for ${server.host}, or use the name that it is for.`,
      };
    }
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
      return {
        detail: `nobody known vouches for the certificate of ${server.host} port ${server.port}`,
        advice:
          'Give the whole chain (fullchain.pem, not cert.pem), from an authority that browsers know. For one of your own, run the doctor with NODE_EXTRA_CA_CERTS=its-certificate.pem.',
      };
    default:
      return undefined;
  }
}

const day = (date: Date): string => date.toISOString().slice(0, 10);

/** The code alone: messages of errors may quote what was sent. */
function unexpected(error: unknown, at: string): Fault {
  const name = codeOf(error) ?? (error instanceof Error ? error.name : 'unknown');
  return {
    detail: `the connection to ${at} failed (${name})`,
    advice: 'Run the doctor again; if it stays, look at the log of what listens there.',
  };
}

/** Of a list of attempts (a name with several addresses), the first. */
function codeOf(error: unknown): string | undefined {
  const { code, errors } = (error ?? {}) as { code?: string; errors?: unknown[] };
  return code ?? (errors?.length ? codeOf(errors[0]) : undefined);
}
