// Declares the TURN settings, of the server and of coturn together because both read the same `.env`.
import { isIP } from 'node:net';
import { RTCIceServer } from '@couplet/protocol/schema';
import { type Static, Type } from '@couplet/protocol/typebox';
import { choice, flag, integer, text, texts } from './kinds.js';

const HOST = '(\\[[0-9A-Fa-f:.]{2,}\\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\\.?)';
const PORT = '(:(6553[0-5]|655[0-2]\\d|65[0-4]\\d{2}|6[0-4]\\d{3}|[1-5]\\d{4}|[1-9]\\d{0,3}))?';
/** RFC 7064 §3.1. */
const STUN_URL = `stuns?:${HOST}${PORT}`;
/** RFC 7065 §3.1, with the two transports of WebRTC. */
const TURN_URL = `turns?:${HOST}${PORT}(\\?transport=(udp|tcp))?`;
const IP = '([0-9]{1,3}(\\.[0-9]{1,3}){3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]+)';
/** Characters that need no quotes in `.env`, in a compose file and in turnserver.conf. */
const PLAIN = 'A-Za-z0-9+/=_.~-';

const pattern = (expression: string) => `^(${expression})$`;
const ICE_URL = new RegExp(pattern(`${STUN_URL}|${TURN_URL}`));

/** Whether browsers accept a URL. The pattern has the whole grammar except the address in brackets. */
export const isIceUrl = (url: string): boolean => {
  const inBrackets = /\[(.*)\]/.exec(url)?.[1];
  return ICE_URL.test(url) && (inBrackets === undefined || isIP(inBrackets) === 6);
};

const port = (env: string, value: number, description: string) =>
  integer(env, [1, 65_535], { default: value, usedBy: 'coturn', description });

/** Value of `TURN_TLS_CERT` if TLS ends in front of coturn, or at a coturn with its own settings. */
const ELSEWHERE = 'elsewhere';

/** Part of `ConfigSchema`. Only turn-server/start.sh uses the settings with `usedBy: 'coturn'`, but the server checks them too. */
export const TURN_SETTINGS = {
  turnSecrets: texts('TURN_SECRET', {
    form: `[${PLAIN}]{16,}`,
    maxItems: 2,
    secret: true,
    description:
      'Secret shared with coturn: at least 16 of the characters A-Z a-z 0-9 + / = _ . ~ -. For a rotation, set two secrets, comma-separated: the server makes credentials with the first, and coturn accepts both.',
  }),
  turnUrls: texts('TURN_URLS', {
    form: TURN_URL,
    description:
      'TURN URLs (RFC 7065) that clients get with credentials, comma-separated: `turn:turn.example.org:3478,turn:turn.example.org:3478?transport=tcp,turns:turn.example.org:5349?transport=tcp`.',
  }),
  stunUrls: texts('STUN_URLS', {
    form: STUN_URL,
    description:
      'STUN URLs (RFC 7064) that clients get, comma-separated: `stun:turn.example.org:3478`. coturn is also a STUN server.',
  }),
  turnTtlSeconds: integer('TURN_TTL_SECONDS', [60, 86_400], {
    default: 3600,
    description:
      'Lifetime of TURN credentials, in seconds. A client always gets credentials for coturn with more than half of their lifetime left, and coturn keeps an open allocation after they expire. With ICE_SERVERS_URL: the lifetime that the server requests, and assumes if the answer has no `ttl`.',
  }),
  maxTurnCredentialsPerHour: integer('MAX_TURN_CREDENTIALS_PER_HOUR', [1, 1_000_000_000], {
    default: 2000,
    description:
      'TURN users that each node gives to one address at once (IPv6: one /64). The allowance refills within an hour. A device in a room stays the same user for half of TURN_TTL_SECONDS and counts once. Beyond it, POST /api/ice-servers answers 429, and `room_ready` has no TURN server. Servers from ICE_SERVERS_URL are not limited.',
  }),
  iceServersUrl: text('ICE_SERVERS_URL', {
    maxLength: 2048,
    secret: true,
    description:
      'HTTPS URL that answers with ICE servers and their credentials, such as the API of a TURN provider. Clients get these servers. TURN_URLS and STUN_URLS are the fallback, and need not be set. http:// is only accepted for this machine.',
  }),
  iceServersToken: text('ICE_SERVERS_TOKEN', {
    form: '[!-~]{0,2048}',
    secret: true,
    description:
      'Bearer token for requests to ICE_SERVERS_URL, or `user:password` for basic authentication.',
  }),
  iceServersMethod: choice('ICE_SERVERS_METHOD', ['POST', 'GET', 'PUT'], {
    default: 'POST',
    description: 'Method of requests to ICE_SERVERS_URL.',
  }),
  iceServersBody: text('ICE_SERVERS_BODY', {
    maxLength: 2048,
    secret: true,
    description:
      'Body of requests to ICE_SERVERS_URL: JSON, or a form such as `Ttl=3600`. Empty: `{"ttl":…}` with TURN_TTL_SECONDS, or no body with GET.',
  }),
  iceServersExtra: Type.Array(RTCIceServer, {
    env: 'ICE_SERVERS_EXTRA',
    default: [],
    maxItems: 16,
    secret: true,
    description:
      'Further ICE servers that clients get unchanged, such as a fallback TURN server: a JSON array of W3C RTCIceServer. The server does not start if browsers would refuse an entry.',
  }),
  iceServersForAll: flag('ICE_SERVERS_FOR_ALL', {
    description:
      '`room_ready` has ICE servers for every member, not only for the two paired devices. Anyone who finds the server can then use your TURN server.',
  }),
  turnRealm: text('TURN_REALM', {
    default: 'couplet',
    form: '[A-Za-z0-9._-]{1,127}',
    usedBy: 'coturn',
    description: 'Realm of coturn, usually your domain.',
  }),
  turnPort: port('TURN_PORT', 3478, 'Port of coturn for UDP and TCP.'),
  turnTlsPort: port('TURN_TLS_PORT', 5349, 'Port of coturn for TLS. Used only with a certificate.'),
  turnMinPort: port(
    'TURN_MIN_PORT',
    49_152,
    'First relay port of coturn. Each allocation uses one port. If each port must be mapped, a hundred are enough for a small site.',
  ),
  turnMaxPort: port('TURN_MAX_PORT', 65_535, 'Last relay port of coturn.'),
  turnListenIps: texts('TURN_LISTEN_IPS', {
    form: IP,
    usedBy: 'coturn',
    description:
      'Addresses that coturn listens on and relays from, comma-separated. Empty: all addresses of the host.',
  }),
  turnExternalIp: texts('TURN_EXTERNAL_IP', {
    form: `${IP}/${IP}`,
    usedBy: 'coturn',
    description:
      'Addresses of a coturn host behind NAT (most clouds): `public/private`, such as `198.51.100.7/10.0.0.4`. Empty: the host has a public address itself.',
  }),
  turnAllowedPeers: texts('TURN_ALLOWED_PEERS', {
    form: `${IP}(-${IP})?`,
    maxItems: 64,
    usedBy: 'coturn',
    description:
      'Private addresses or ranges (`10.1.0.0-10.1.0.255`) that coturn accepts as peers, comma-separated. Empty: public addresses only.',
  }),
  turnVerbose: flag('TURN_VERBOSE', {
    usedBy: 'coturn',
    description:
      'Makes coturn log every allocation, with the addresses of clients and peers. `npm run turn` sets it to 1.',
  }),
  turnTlsCert: text('TURN_TLS_CERT', {
    form: '[^\\s,]+',
    usedBy: 'coturn',
    description: `Certificate chain (PEM file) of coturn, needed for turns: URLs. \`${ELSEWHERE}\`: TLS ends at another program.`,
  }),
  turnTlsKey: text('TURN_TLS_KEY', {
    form: '[^\\s,]+',
    usedBy: 'coturn',
    description: 'Private key (PEM file) of the certificate in TURN_TLS_CERT.',
  }),
  turnStaticUser: text('TURN_STATIC_USER', {
    form: `[A-Za-z0-9_.-]{1,64}:[${PLAIN}]{16,}`,
    secret: true,
    usedBy: 'coturn',
    description:
      '`name:password` (at least 16 characters) of the optional second coturn, for app versions with fixed credentials.',
  }),
  turnStaticPort: port('TURN_STATIC_PORT', 3479, 'Port of the second coturn for UDP and TCP.'),
  turnStaticTlsPort: port(
    'TURN_STATIC_TLS_PORT',
    5350,
    'Port of the second coturn for TLS. Used only with a certificate.',
  ),
  turnStaticMinPort: port('TURN_STATIC_MIN_PORT', 48_128, 'First relay port of the second coturn.'),
  turnStaticMaxPort: port('TURN_STATIC_MAX_PORT', 49_151, 'Last relay port of the second coturn.'),
} as const;

/** Whether all are IP addresses of the same family. */
const areOfOneFamily = (ips: string[]): boolean => {
  const families = new Set(ips.map(isIP));
  return families.size === 1 && !families.has(0);
};

const when = (isWrong: boolean, fault: string): string | undefined => (isWrong ? fault : undefined);

const turnSchema = Type.Object(TURN_SETTINGS);
type TurnSettings = Static<typeof turnSchema>;

/** Checks TURN settings that need or exclude each other. */
export const TURN_CHECKS: readonly ((settings: TurnSettings) => string | undefined)[] = [
  ({ turnUrls, turnSecrets }) =>
    when(turnUrls.length > 0 && turnSecrets.length === 0, 'TURN_SECRET: needed with TURN_URLS'),
  ({ turnUrls, turnSecrets }) =>
    when(turnSecrets.length > 0 && turnUrls.length === 0, 'TURN_URLS: needed with TURN_SECRET'),
  ({ turnUrls, turnTlsCert }) =>
    when(
      turnTlsCert === '' && turnUrls.some((url) => url.startsWith('turns:')),
      `TURN_TLS_CERT: needed with a turns: URL in TURN_URLS; \`${ELSEWHERE}\` if TLS ends at another program`,
    ),
  ({ turnUrls }) =>
    when(!turnUrls.every(isIceUrl), 'TURN_URLS: has brackets without an IPv6 address'),
  ({ stunUrls }) =>
    when(!stunUrls.every(isIceUrl), 'STUN_URLS: has brackets without an IPv6 address'),
  ({ turnUrls }) =>
    when(
      turnUrls.some((url) => /^turns:.*=udp$/.test(url)),
      'TURN_URLS: a turns: URL with transport=udp is TURN over DTLS, which neither this coturn nor any browser supports; use transport=tcp',
    ),
  ({ turnTlsKey, turnTlsCert }) =>
    when(
      turnTlsKey === '' && turnTlsCert !== '' && turnTlsCert !== ELSEWHERE,
      'TURN_TLS_KEY: needed with TURN_TLS_CERT',
    ),
  ({ turnTlsKey, turnTlsCert }) =>
    when(turnTlsKey !== '' && turnTlsCert === '', 'TURN_TLS_CERT: needed with TURN_TLS_KEY'),
  ({ turnMinPort, turnMaxPort }) =>
    when(turnMinPort > turnMaxPort, 'TURN_MIN_PORT: greater than TURN_MAX_PORT'),
  ({ turnPort, turnTlsPort }) =>
    when(turnPort === turnTlsPort, 'TURN_TLS_PORT: the same as TURN_PORT'),
  ({ turnListenIps }) =>
    // coturn skips an entry that is not an address, and starts without it.
    when(!turnListenIps.every(isIP), 'TURN_LISTEN_IPS: has an entry that is not an IP address'),
  ({ turnExternalIp }) =>
    when(
      !turnExternalIp.every((mapping) => areOfOneFamily(mapping.split('/'))),
      'TURN_EXTERNAL_IP: must be two IP addresses of the same family',
    ),
  ({ turnAllowedPeers }) =>
    when(
      !turnAllowedPeers.every((range) => areOfOneFamily(range.split('-'))),
      'TURN_ALLOWED_PEERS: has an entry that is not an IP address, or a range of two families',
    ),
  ({ turnStaticUser, turnStaticMinPort, turnStaticMaxPort }) =>
    when(
      turnStaticUser !== '' && turnStaticMinPort > turnStaticMaxPort,
      'TURN_STATIC_MIN_PORT: greater than TURN_STATIC_MAX_PORT',
    ),
  ({ turnStaticUser, turnStaticMinPort, turnStaticMaxPort, turnMinPort, turnMaxPort }) =>
    when(
      turnStaticUser !== '' && turnStaticMinPort <= turnMaxPort && turnMinPort <= turnStaticMaxPort,
      'TURN_STATIC_MIN_PORT: the relay ports of the two coturn servers overlap',
    ),
  ({ turnStaticUser, turnPort, turnTlsPort, turnStaticPort, turnStaticTlsPort }) => {
    const ports = [turnPort, turnTlsPort, turnStaticPort, turnStaticTlsPort];
    return when(
      turnStaticUser !== '' && new Set(ports).size < ports.length && turnPort !== turnTlsPort,
      'TURN_STATIC_PORT, TURN_STATIC_TLS_PORT: the four ports of both coturn servers must differ',
    );
  },
  ({ iceServersUrl }) => {
    const fault = iceServersUrl === '' ? undefined : urlFault(iceServersUrl);
    return fault === undefined ? undefined : `ICE_SERVERS_URL: the value given ${fault}`;
  },
  ({ iceServersUrl, iceServersToken, iceServersBody }) =>
    when(
      iceServersUrl === '' && (iceServersToken !== '' || iceServersBody !== ''),
      'ICE_SERVERS_URL: needed with ICE_SERVERS_TOKEN and ICE_SERVERS_BODY',
    ),
  ({ iceServersMethod, iceServersBody }) =>
    when(
      iceServersMethod === 'GET' && iceServersBody !== '',
      'ICE_SERVERS_BODY: a GET request has no body; set ICE_SERVERS_METHOD to POST or PUT',
    ),
  ({ iceServersBody, turnTtlSeconds }) => {
    // Otherwise clients would get credentials that have expired.
    const asked = /\b(?:ttl|expire)"?\s*[:=]\s*"?(\d+)/i.exec(iceServersBody)?.[1];
    return when(
      asked !== undefined && Number(asked) < turnTtlSeconds,
      'ICE_SERVERS_BODY: asks for a shorter lifetime than TURN_TTL_SECONDS',
    );
  },
  ({ iceServersExtra }) => {
    const faults = iceServersExtra.flatMap((server, index) => {
      const fault = iceServerFault(server);
      return fault === undefined ? [] : [`server ${index + 1} ${fault}`];
    });
    return when(faults.length > 0, `ICE_SERVERS_EXTRA: ${faults.join('; ')}`);
  },
];

/** Returns the fault of ICE_SERVERS_URL. The URL may contain a key, so the fault does not quote it. */
function urlFault(text: string): string | undefined {
  if (!URL.canParse(text)) return 'is not a URL';
  const { protocol, hostname, username, password } = new URL(text);
  if (username !== '' || password !== '') {
    return 'has a user or password; set them in ICE_SERVERS_TOKEN';
  }
  const isLocal = /^(localhost|127\.[\d.]+|\[::1\])$/.test(hostname);
  return when(
    protocol !== 'https:' && !(protocol === 'http:' && isLocal),
    'must begin with https://; http:// is accepted for localhost, 127.0.0.1 and [::1]',
  );
}

/** The longest username of TURN, in bytes of UTF-8 (RFC 8489 §14.3). */
const MAX_USERNAME_BYTES = 508;

/**
 * Returns the fault that makes `new RTCPeerConnection` throw in browsers (W3C WebRTC §4.4.1.7; in Chromium also an empty
 * username or credential). Quotes no value.
 */
export function iceServerFault({
  urls,
  username = '',
  credential = '',
}: RTCIceServer): string | undefined {
  const all = typeof urls === 'string' ? [urls] : urls;
  if (all.length === 0) return 'has no URL';
  if (!all.every(isIceUrl)) {
    return 'has a URL of another form than stun:host[:port] or turn:host[:port][?transport=udp|tcp] (or stuns:, turns:)';
  }
  if (!all.some((url) => url.startsWith('turn'))) return undefined;
  if (username === '' || credential === '') {
    return 'has a TURN URL, so it needs a username and a credential that are not empty';
  }
  return when(
    Buffer.byteLength(username) > MAX_USERNAME_BYTES,
    `has a username of more than ${MAX_USERNAME_BYTES} bytes`,
  );
}
