// Explains failed connections: refused, unknown host, reset, and certificate faults.

import { shownCertificate } from './certificate.js';
import type { Endpoint } from './site.js';

export interface Fault {
  /** The observation. */
  detail: string;
  /** How to fix it. */
  advice: string;
}

interface Where {
  server: Endpoint;
}

/** Explains an error of a socket, of TLS or of HTTP. Connects again to read a certificate that was refused. */
export async function explainFault(error: unknown, { server }: Where): Promise<Fault> {
  const code = codeOf(error);
  const at = `${server.host} port ${server.port}`;
  switch (code) {
    case 'ECONNREFUSED':
      return {
        detail: `nothing listens at ${at}`,
        advice:
          'Start the server, or correct the port. For a container, check that the port is published.',
      };
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return {
        detail: `the name ${server.host} is unknown`,
        advice: `Correct the name, or add it to your DNS. \`getent hosts ${server.host}\` shows how this machine resolves it.`,
      };
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return {
        detail: `there is no route to ${server.host} from this machine`,
        advice: 'Check the network of this machine, and the address that the name resolves to.',
      };
    case 'ECONNRESET':
    case 'EPIPE':
      return {
        detail: `${at} closed the connection without an answer`,
        advice:
          'Another program listens there, a proxy has no server behind it, or only one end uses TLS.',
      };
    case 'EPROTO':
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
      return {
        detail: `${at} does not use TLS`,
        advice: 'Use http:// (for TURN: turn:) for this port, or use the TLS port.',
      };
    default:
      if (code?.startsWith('HPE_'))
        return {
          detail: `${at} does not answer with HTTP`,
          advice: 'Another program listens there, or the port uses TLS: try https://.',
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
          'Renew it (for example with `certbot renew`), reload the program that uses it, and find out why the automatic renewal failed.',
      };
    }
    case 'CERT_NOT_YET_VALID':
      return {
        detail: `the certificate of ${server.host} port ${server.port} is not valid yet`,
        advice: 'Check the clock of this machine. If it is right, get a new certificate.',
      };
    case 'ERR_TLS_CERT_ALTNAME_INVALID': {
      const names = (await shownCertificate(server))?.names.join(', ');
      return {
        detail: `the certificate at port ${server.port} is not for ${server.host}${names ? ` but for ${names}` : ''}`,
        advice: `Get a certificate for ${server.host}, or use the name in the certificate.`,
      };
    }
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
      return {
        detail: `no trusted authority issued the certificate of ${server.host} port ${server.port}`,
        advice:
          'Configure the whole chain (fullchain.pem, not cert.pem), from an authority that browsers trust. For your own authority, run the doctor with NODE_EXTRA_CA_CERTS=its-certificate.pem.',
      };
    default:
      return undefined;
  }
}

const day = (date: Date): string => date.toISOString().slice(0, 10);

/** Uses the code only, because error messages may contain sent data. */
function unexpected(error: unknown, at: string): Fault {
  const name = codeOf(error) ?? (error instanceof Error ? error.name : 'unknown');
  return {
    detail: `the connection to ${at} failed (${name})`,
    advice:
      'Run the doctor again. If it fails again, check the log of the program that listens there.',
  };
}

/** Returns the first error if a name with several addresses was tried. */
function codeOf(error: unknown): string | undefined {
  const { code, errors } = (error ?? {}) as { code?: string; errors?: unknown[] };
  return code ?? (errors?.length ? codeOf(errors[0]) : undefined);
}
