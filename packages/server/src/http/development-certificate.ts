// Makes the certificate of `couplet serve --https`: self-signed, for addresses of a local network (RFC 5280, X.690).
import {
  createPrivateKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

const DAY_MS = 86_400_000;
const LIFETIME_DAYS = 365;
/** A certificate that expires sooner is replaced at the start. */
const REPLACED_BEFORE_DAYS = 30;

/**
 * Returns key and certificate in one PEM text for `localhost` and these IPv4 addresses. It is kept in the file, so that a
 * browser has to accept it only once, and replaced if it lacks an address or expires soon.
 */
export function developmentCertificate(file: string, addresses: readonly string[]): string {
  const all = ['127.0.0.1', ...addresses];
  const known = usable(file, all);
  if (known !== undefined) return known;
  const pem = makeCertificate(all);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(file, pem, { mode: 0o600 });
  return pem;
}

function usable(file: string, addresses: readonly string[]): string | undefined {
  try {
    const pem = readFileSync(file, 'utf8');
    const certificate = new X509Certificate(pem);
    const isUsable =
      certificate.checkPrivateKey(createPrivateKey(pem)) &&
      addresses.every((address) => certificate.checkIP(address) !== undefined) &&
      Date.parse(certificate.validTo) > Date.now() + REPLACED_BEFORE_DAYS * DAY_MS;
    return isUsable ? pem : undefined;
  } catch {
    // There is no file, or it is not a certificate and key. If it cannot be read, writing it fails with the reason.
    return undefined;
  }
}

function makeCertificate(addresses: readonly string[]): string {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = sequence(set(sequence(OID.commonName, utf8('Couplet development'))));
  const names = [
    der(0x82, Buffer.from('localhost')),
    ...addresses.map((address) => der(0x87, Buffer.from(address.split('.').map(Number)))),
  ];
  const certificate = sequence(
    explicit(0, der(0x02, Buffer.from([2]))),
    // The first byte makes the number positive.
    der(0x02, Buffer.from([1]), randomBytes(15)),
    sequence(OID.ecdsaWithSha256),
    name,
    // Valid from an hour ago, for devices whose clock is behind.
    sequence(time(Date.now() - DAY_MS / 24), time(Date.now() + LIFETIME_DAYS * DAY_MS)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    explicit(
      3,
      sequence(
        // A certificate authority, so that a phone can be made to trust it.
        extension(OID.basicConstraints, sequence(TRUE), true),
        // digitalSignature and keyCertSign.
        extension(OID.keyUsage, der(0x03, Buffer.from([2, 0b1000_0100])), true),
        extension(OID.extendedKeyUsage, sequence(OID.serverAuth)),
        extension(OID.subjectAltName, sequence(...names)),
      ),
    ),
  );
  const signature = der(0x03, Buffer.from([0]), sign('sha256', certificate, privateKey));
  const signed = sequence(certificate, sequence(OID.ecdsaWithSha256), signature);
  const lines = signed.toString('base64').match(/.{1,64}/g) ?? [];
  return `${privateKey.export({ type: 'pkcs8', format: 'pem' })}-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

/** Encodes an element in DER: tag, length, content. */
function der(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  const length = body.length.toString(16);
  const digits = Buffer.from(length.padStart(length.length + (length.length % 2), '0'), 'hex');
  const head = body.length < 0x80 ? [tag, body.length] : [tag, 0x80 + digits.length, ...digits];
  return Buffer.concat([Buffer.from(head), body]);
}

const sequence = (...content: readonly Uint8Array[]) => der(0x30, ...content);
const set = (...content: readonly Uint8Array[]) => der(0x31, ...content);
const explicit = (number: number, content: Uint8Array) => der(0xa0 + number, content);
const utf8 = (text: string) => der(0x0c, Buffer.from(text));
const TRUE = der(0x01, Buffer.from([0xff]));
/** UTCTime, as in 260131120500Z. */
const time = (ms: number) =>
  der(0x17, Buffer.from(`${new Date(ms).toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`));
const extension = (oid: Uint8Array, value: Uint8Array, isCritical = false) =>
  sequence(oid, ...(isCritical ? [TRUE] : []), der(0x04, value));
const oid = (hex: string) => der(0x06, Buffer.from(hex, 'hex'));

const OID = {
  commonName: oid('550403'),
  ecdsaWithSha256: oid('2a8648ce3d040302'),
  keyUsage: oid('551d0f'),
  subjectAltName: oid('551d11'),
  basicConstraints: oid('551d13'),
  extendedKeyUsage: oid('551d25'),
  serverAuth: oid('2b06010505070301'),
};
