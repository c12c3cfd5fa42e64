// Throw-away certificates made by openssl: for a name and, as a rule, loopback; good for two days, or expired since yesterday.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Certificate {
  /** Paths of the PEM files. */
  cert: string;
  key: string;
  /** The certificate itself, to be trusted by a test. */
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
  // `req -x509` makes none that has expired.
  run(
    ...['x509', '-req', '-in', request, '-signkey', key, '-copy_extensions', 'copy'],
    ...['-days', expired ? '-1' : '2', '-out', cert],
  );
  return { cert, key, ca: readFileSync(cert, 'utf8') };
}
