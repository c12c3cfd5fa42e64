// The certificate of couplet serve --https: openssl and Node.js accept it, it is kept, and it is replaced when it has to be.
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeCertificate } from '@couplet/testkit/certificate';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { developmentCertificate } from '../../src/http/development-certificate.js';

const fresh = () => join(temporaryFolder(), 'data', 'development-certificate.pem');

test('it is valid for localhost and the addresses, for a year, and signed by its own key', () => {
  const file = fresh();
  const certificate = new X509Certificate(
    developmentCertificate(file, ['192.168.1.10', '10.0.0.7']),
  );
  expect(certificate.verify(certificate.publicKey)).toBe(true);
  expect(certificate.ca).toBe(true);
  expect(certificate.checkHost('localhost')).toBe('localhost');
  for (const address of ['127.0.0.1', '192.168.1.10', '10.0.0.7']) {
    expect(certificate.checkIP(address)).toBe(address);
  }
  expect(certificate.checkIP('192.168.1.11')).toBeUndefined();
  const days = (Date.parse(certificate.validTo) - Date.now()) / 86_400_000;
  expect(Math.round(days)).toBe(365);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test('openssl verifies it as a server certificate', () => {
  const file = fresh();
  developmentCertificate(file, ['192.168.1.10']);
  const options = '-x509_strict -purpose sslserver -verify_ip 192.168.1.10 -CAfile'.split(' ');
  const answer = execFileSync('openssl', ['verify', ...options, file, file]);
  expect(String(answer)).toContain(': OK');
});

test('it is kept as long as it has every address', () => {
  const file = fresh();
  const first = developmentCertificate(file, ['192.168.1.10']);
  expect(developmentCertificate(file, [])).toBe(first);
  expect(developmentCertificate(file, ['192.168.1.10'])).toBe(first);
  expect(developmentCertificate(file, ['192.168.1.11'])).not.toBe(first);
});

test.each([
  ['no certificate', () => 'nothing'],
  [
    'one that has expired',
    () => {
      const { cert, key } = makeCertificate(temporaryFolder(), { expired: true });
      return readFileSync(key, 'utf8') + readFileSync(cert, 'utf8');
    },
  ],
])('a file with %s is replaced', (_what, content) => {
  const file = join(temporaryFolder(), 'development-certificate.pem');
  writeFileSync(file, content());
  const made = new X509Certificate(developmentCertificate(file, []));
  expect(made.subject).toBe('CN=Couplet development');
});
