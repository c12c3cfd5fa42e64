// The server that the doctor examines: its address, and what the doctor says it is while it asks.
import { randomUUID } from 'node:crypto';
import { isIP } from 'node:net';

/** Where something listens. */
export interface Endpoint {
  /** A name, or an address without brackets. */
  host: string;
  port: number;
}

export interface Site {
  /** `https://host/path`, no slash at the end. */
  base: string;
  /** The same for WebSocket. */
  wsBase: string;
  server: Endpoint;
  /** The page on whose behalf CORS is asked for. */
  origin: string;
  /** Certificates to trust instead of the system's. */
  ca: string | undefined;
  /** The two throw-away devices of this examination. */
  devices: readonly [string, string];
  /** What the server gave these devices to prove themselves with; filled by the pairing, and needed to clean up. */
  secrets: [string | undefined, string | undefined];
}

/** @throws Error in plain words, where it is no address that can be examined */
export function siteAt(address: string, options: { origin?: string; ca?: string } = {}): Site {
  const url = httpUrl(address);
  if (url === undefined) throw new Error('the address must be like https://chat.example.org');
  // Not shown: what stands there may be a password.
  if (url.username !== '' || url.password !== '')
    throw new Error('the address must be without user and password');
  if (url.search !== '' || url.hash !== '')
    throw new Error('the address must be without ? and # parts');
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

/** An origin that no list can hold by chance (RFC 2606 §2). */
export const ANY_ORIGIN = 'https://couplet-doctor.invalid';

function originOf(given: string | undefined): string {
  if (given === undefined) return ANY_ORIGIN;
  const origin = given.replace(/\/$/, '');
  if (httpUrl(given)?.origin === origin || APP_ORIGIN.test(origin)) return origin;
  throw new Error('--origin must be like https://app.example.org or capacitor://localhost');
}

/** Apps in a web view have schemes of their own. */
const APP_ORIGIN = /^(?!(?:https?|wss?|ftp|file):)[a-z][a-z\d+.-]*:\/\/[^\s/?#@]+$/;

function httpUrl(text: string): URL | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  return /^https?:$/.test(url.protocol) ? url : undefined;
}

/** A host name as sockets take it: an IPv6 address without its brackets. */
export const bare = (host: string): string => host.replace(/^\[|\]$/g, '');

/** The name to ask for in TLS (RFC 6066 §3): none for an address. */
export const serverName = (host: string): string | undefined =>
  isIP(host) === 0 ? host : undefined;
