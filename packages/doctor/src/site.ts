// Parses the address of the tested server, and holds the test devices.
import { randomUUID } from 'node:crypto';
import { isIP } from 'node:net';

/** A host and port. */
export interface Endpoint {
  /** A name, or an address without brackets. */
  host: string;
  port: number;
}

export interface Site {
  /** `https://host/path`, without a slash at the end. */
  base: string;
  /** The same for WebSocket. */
  wsBase: string;
  server: Endpoint;
  /** The origin used in the CORS check. */
  origin: string;
  /** Certificates to trust instead of the system's. */
  ca: string | undefined;
  /** The ids of the two test devices. */
  devices: readonly [string, string];
  /** The secrets of these devices. Set by the pairing check, and needed for the clean-up. */
  secrets: [string | undefined, string | undefined];
}

/** @throws Error with a text for the user if the address cannot be tested */
export function siteAt(address: string, options: { origin?: string; ca?: string } = {}): Site {
  const url = httpUrl(address);
  if (url === undefined) throw new Error('the address must be like https://chat.example.org');
  // The message does not contain the address, because it may include a password.
  if (url.username !== '' || url.password !== '')
    throw new Error('the address must not contain a user or password');
  if (url.search !== '' || url.hash !== '') throw new Error('the address must not contain ? or #');
  const base = url.origin + url.pathname.replace(/\/+$/, '');
  const defaultPort = url.protocol === 'https:' ? 443 : 80;
  return {
    base,
    wsBase: base.replace(/^http/, 'ws'),
    server: { host: bare(url.hostname), port: Number(url.port || defaultPort) },
    origin: originOf(options.origin),
    ca: options.ca,
    devices: [`couplet-doctor-${randomUUID()}`, `couplet-doctor-${randomUUID()}`],
    secrets: [undefined, undefined],
  };
}

/** An origin that no list contains by chance (RFC 2606 §2). */
export const ANY_ORIGIN = 'https://couplet-doctor.invalid';

function originOf(given: string | undefined): string {
  if (given === undefined) return ANY_ORIGIN;
  const origin = given.replace(/\/$/, '');
  if (httpUrl(given)?.origin === origin || APP_ORIGIN.test(origin)) return origin;
  throw new Error('--origin must be like https://app.example.org or capacitor://localhost');
}

/** Apps in a web view use their own schemes. */
const APP_ORIGIN = /^(?!(?:https?|wss?|ftp|file):)[a-z][a-z\d+.-]*:\/\/[^\s/?#@]+$/;

function httpUrl(text: string): URL | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  return /^https?:$/.test(url.protocol) ? url : undefined;
}

/** Returns a host name for sockets: an IPv6 address without brackets. */
export const bare = (host: string): string => host.replace(/^\[|\]$/g, '');

/** Returns the server name for TLS (RFC 6066 §3); none for an IP address. */
export const serverName = (host: string): string | undefined =>
  isIP(host) === 0 ? host : undefined;
