// Holds the test vectors of draft-irtf-cfrg-cpace-21, Appendix B.1 (X25519 with SHA-512), in hexadecimal.

export const CPACE = {
  channel: '0b415f696e69746961746f720b425f726573706f6e646572',
  session: '7e4b4791d6a8ef019b936c79fb7f2c57',
  generator: 'd04bf6d41f6a289632a2e929fa29bebd51092512a7829fdde7d314b62f05a73f',
  ya: '21b4f4bd9e64ed355c3eb676a28ebedaf6d8f17bdc365995b319097153044080',
  a: '1d13c89278cdadd826f6d8d7f887701430f8380ddc17611cdd6dc989ce0c9f32',
  yb: '848b0779ff415f0af4ea14df9dd1d3c29ac41d836c7808896c4eba19c51ac40a',
  b: '248cccf6d5cdc3646f0ad593f9e6cef4e69d4945f8372e623512ecea32185623',
  secret: '5b067effbdc0b2a0e1d907b21ebb25cfedb96a852179a847c37e43ee71322c6b',
  sessionKey:
    '6e19b875f7a561d6b3ca3dbb9ef42ac55de3e717881018204b8922b4d5e53bb2' +
    'aa82c300bea7b65d2b671da71922ddf6472301b79bc270adfa8bf413285f2263',
};

/** Shares that must end the run (B.1.10: u0 to u5, u7). */
export const LOW_ORDER = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
];

/** Shares whose highest bit is set, with their product (B.1.10: u6, u8 to ub). */
export const OF_BIT_255: [share: string, product: string][] = [
  [
    'daffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
    'd8e2c776bbacd510d09fd9278b7edcd25fc5ae9adfba3b6e040e8d3b71b21806',
  ],
  [
    'dbffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
    'c85c655ebe8be44ba9c0ffde69f2fe10194458d137f09bbff725ce58803cdb38',
  ],
  [
    'd9ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
    'db64dafa9b8fdd136914e61461935fe92aa372cb056314e1231bc4ec12417456',
  ],
  [
    'cdeb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880',
    'e062dcd5376d58297be2618c7498f55baa07d7e03184e8aada20bca28888bf7a',
  ],
  [
    '4c9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7',
    '993c6ad11c4c29da9a56f7691fd0ff8d732e49de6250b6c2e80003ff4629a175',
  ],
];

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
export const unhex = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(Buffer.from(text, 'hex'));

/** Imports an X25519 scalar. PKCS #8 contains it after a fixed header (RFC 8410 §7). */
export const privateKey = (scalar: string): Promise<CryptoKey> =>
  crypto.subtle.importKey(
    'pkcs8',
    unhex(`302e020100300506032b656e04220420${scalar}`),
    'X25519',
    true,
    ['deriveBits'],
  );

/** The results of `computeVectors`. */
export const VECTORS = [
  ...[CPACE.generator, CPACE.a, CPACE.b, CPACE.secret, CPACE.secret, CPACE.sessionKey],
  ...LOW_ORDER.map(() => 'refused'),
];

/** Computes the vectors. Also runs in a page, so it uses nothing from outside. */
export async function computeVectors(
  { cpace }: { cpace: typeof import('../../src/verify/cpace.js') },
  input: typeof CPACE & { lowOrder: string[] },
): Promise<string[]> {
  const { generator, multiply, sessionKey, utf8 } = cpace;
  const hex = (bytes: Uint8Array) =>
    Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  const unhex = (text: string) =>
    Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
  const privateKey = (scalar: string) =>
    crypto.subtle.importKey(
      'pkcs8',
      unhex(`302e020100300506032b656e04220420${scalar}`),
      'X25519',
      true,
      ['deriveBits'],
    );
  const agreed = {
    password: 'Password',
    channel: unhex(input.channel),
    session: unhex(input.session),
  };
  const point = await generator(agreed);
  const [ya, yb] = [await privateKey(input.ya), await privateKey(input.yb)];
  const [a, b] = [await multiply(ya, point), await multiply(yb, point)];
  const secret = await multiply(ya, b);
  const key = await sessionKey(
    agreed,
    secret,
    { key: a, associated: utf8('ADa') },
    { key: b, associated: utf8('ADb') },
  );
  const same = await multiply(yb, a);
  const refused = input.lowOrder.map((share) =>
    multiply(ya, unhex(share)).then(hex, () => 'refused'),
  );
  return [...[point, a, b, secret, same, key].map(hex), ...(await Promise.all(refused))];
}
