// Creates temporary certificates with openssl, for a name and usually loopback, valid for two days or expired yesterday.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Certificate {
  /** Paths of the PEM files. */
  cert: string;
  key: string;
  /** The certificate, for a test to trust. */
  ca: string;
}

export function makeCertificate(
  folder: string,
  {
    name = 'localhost',
    expired = false,
    address = true,
  }: { name?: string; expired?: boolean; address?: boolean } = {},
): Certificate {
  const kind = `${expired ? 'expired' : 'good'}${address ? '' : '-name'}`;
  const names = `subjectAltName=DNS:${name}${address ? ',IP:127.0.0.1' : ''}`;
  const [cert, key, request] = ['cert', 'key', 'request'].map((part) =>
    join(folder, `${name}-${kind}-${part}.pem`),
  ) as [string, string, string];
  const run = (...args: string[]) => execFileSync('openssl', args, { stdio: 'ignore' });
  run(
    ...['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
    ...['-subj', `/CN=${name}`, '-addext', names],
    ...['-keyout', key, '-out', request],
  );
  // `req -x509` cannot create an expired certificate.
  run(
    ...['x509', '-req', '-in', request, '-signkey', key, '-copy_extensions', 'copy'],
    ...['-days', expired ? '-1' : '2', '-out', cert],
  );
  return { cert, key, ca: readFileSync(cert, 'utf8') };
}
