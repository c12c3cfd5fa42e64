// Reads the certificate of a TLS server without verifying it, to report why it was refused.
import { connect } from 'node:tls';
import { type Endpoint, serverName } from './site.js';

export interface ShownCertificate {
  validTo: Date;
  names: string[];
}

const LIMIT_MS = 2000;

/** Resolves to undefined if there is no certificate. No data is sent through this connection. */
export function shownCertificate({ host, port }: Endpoint): Promise<ShownCertificate | undefined> {
  return new Promise((resolve) => {
    const servername = serverName(host);
    const options = { host, port, ...(servername ? { servername } : {}) };
    const socket = connect({ ...options, rejectUnauthorized: false }, () => {
      const { valid_to: validTo, subjectaltname = '' } = socket.getPeerCertificate();
      socket.destroy();
      resolve({
        validTo: new Date(validTo),
        names: subjectaltname.split(', ').map((name) => name.replace(/^[^:]+:/, '')),
      });
    });
    socket.setTimeout(LIMIT_MS, () => socket.destroy());
    socket.once('error', () => resolve(undefined));
    socket.once('close', () => resolve(undefined));
  });
}
