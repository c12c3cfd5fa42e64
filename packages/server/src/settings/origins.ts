// Parses ALLOWED_ORIGINS, the origins whose pages may call the API and open a WebSocket.

export interface OriginSettings {
  allowedOrigins: string;
}

/** Whether pages of an origin may call the API and open a WebSocket. */
export type OriginRule = (origin: string) => boolean;

/** Parses ALLOWED_ORIGINS; null if any origin is allowed. */
export function originRule(config: OriginSettings): OriginRule | null {
  if (config.allowedOrigins === '*') return null;
  const allowed = new Set(listed(config).map(canonical));
  return (origin) => allowed.has(origin) || allowed.has(canonical(origin));
}

/** Returns the entries that no `Origin` header can match, with their faults, or undefined. */
export function originsFault(settings: OriginSettings): string | undefined {
  if (settings.allowedOrigins === '*') return undefined;
  const entries = listed(settings);
  const faults = entries.flatMap((entry) => {
    const reason = faultOf(entry);
    return reason === undefined ? [] : [`${JSON.stringify(entry)} ${reason}`];
  });
  if (entries.length === 0) faults.push('the list is empty');
  return faults.length === 0 ? undefined : `ALLOWED_ORIGINS: ${faults.join('; ')}`;
}

function faultOf(entry: string): string | undefined {
  if (entry === '*') return 'allows any origin, so it must be the only entry';
  if (entry === 'null') {
    return 'is the origin of every sandboxed page and of local files; only `*` allows them';
  }
  if (entry.includes('*')) return 'has a wildcard, which is not supported; list each origin';
  const scheme = /^([a-z][a-z0-9+.-]*):\/\/[^\s/?#@]+$/i.exec(entry)?.[1]?.toLowerCase();
  if (scheme === undefined) {
    return 'must be a scheme and a host, such as https://app.example.org or capacitor://localhost, without path or user';
  }
  if (scheme === 'ws' || scheme === 'wss') {
    return 'is the URL of a server; the origin of a page begins with http or https';
  }
  if (scheme === 'file') return 'cannot match: the origin of local files is null';
  return isWeb(scheme) && !URL.canParse(entry) ? 'is not a valid URL' : undefined;
}

const isWeb = (scheme: string) => scheme === 'http' || scheme === 'https';

const listed = ({ allowedOrigins }: OriginSettings): string[] =>
  allowedOrigins
    .split(',')
    .map((entry) => entry.trim().replace(/\/$/, ''))
    .filter((entry) => entry !== '');

/**
 * Returns an origin as browsers write it (RFC 6454 §6.2): lower case, host in ASCII, no default port. Also removes the
 * dot of the DNS root, which browsers keep.
 */
function canonical(origin: string): string {
  const isUrl = /^https?:/i.test(origin) && URL.canParse(origin);
  return (isUrl ? new URL(origin).origin : origin.toLowerCase()).replace(/\.(?=(:\d+)?$)/, '');
}
