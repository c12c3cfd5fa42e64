// The settings of a server in a run: limits out of the way, a fast heartbeat, and a log that can be searched.

export const HEARTBEAT_SECONDS = 2;
/** How long a node that fell silent keeps its seats. */
export const LEASE_SECONDS = 4;

export const SERVER_SETTINGS: Readonly<Record<string, string>> = {
  LOG_FORMAT: 'json',
  LOG_LEVEL: 'info',
  HEARTBEAT_SECONDS: String(HEARTBEAT_SECONDS),
  // Every client has an address of its own, which the proxy in front would tell.
  TRUST_PROXY: '1',
  MAX_FAILED_GUESSES_PER_MINUTE: '1000000',
  MAX_CONNECTIONS_PER_ADDRESS: '1000',
  MAX_PENDINGS_PER_DEVICE: '1000',
  MAX_PENDINGS_PER_ADDRESS: '100000',
  // A code of twelve digits in a log is one, and no number that looks like it.
  JOIN_CODE_DIGITS: '12',
};
