// Maps 32 bytes to a point of Curve25519: Elligator 2 as in RFC 9380 §6.7.1, u-coordinate only.
//
// BigInt arithmetic does not run in constant time. The input is a hash of a code that is valid for one run, so an observer
// has one measurement, on a network whose jitter is far larger than the differences.

const PRIME = 2n ** 255n - 19n;
/** The curve is v² = u³ + Au² + u (RFC 7748 §4.1). */
const A = 486662n;
/** A non-square of the field. */
const Z = 2n;

/** Returns the u-coordinate of the point in little-endian order. The most significant bit of the input is ignored. */
export function mapToCurve(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const r = decoded(bytes);
  const u = mod(-A * power(1n + Z * r * r, PRIME - 2n));
  const isOnCurve = power(u * (u * (u + A) + 1n), (PRIME - 1n) / 2n) === 1n;
  return encoded(isOnCurve ? u : mod(-u - A));
}

/** Returns the remainder, which is never negative. */
const mod = (value: bigint): bigint => ((value % PRIME) + PRIME) % PRIME;

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = mod(base);
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = mod(result * square);
    square = mod(square * square);
  }
  return result;
}

const decoded = (bytes: Uint8Array): bigint =>
  mod(bytes.reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n) & (2n ** 255n - 1n));

const encoded = (number: bigint): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length: 32 }, (_, at) => Number((number >> BigInt(8 * at)) & 0xffn));
