// Declares the settings of access and of limits.
import { DEFAULT_MAX_MESSAGE_BYTES, JOIN_CODE_DIGITS } from '@couplet/protocol';
import { flag, integer, text } from './kinds.js';

/** Spread into the schema of the configuration; docs/operations.md shows them. */
export const LIMIT_SETTINGS = {
  maxMessageBytes: integer('MAX_MESSAGE_BYTES', [1024, 16_777_216], {
    default: DEFAULT_MAX_MESSAGE_BYTES,
    description:
      'Largest WebSocket message from a client, in bytes. A larger message closes the connection with 1009.',
  }),
  maxBufferedBytes: integer('MAX_BUFFERED_BYTES', [65_536, 1_073_741_824], {
    default: 1_048_576,
    description:
      'Maximum number of bytes that wait to be sent to one client. Beyond it, the connection is closed with 4008.',
  }),
  trustProxy: text('TRUST_PROXY', {
    form: '(\\d{1,2}|[0-9a-fA-F:./]+|loopback|linklocal|uniquelocal)(\\s*,\\s*([0-9a-fA-F:./]+|loopback|linklocal|uniquelocal))*',
    description:
      'Proxies whose X-Forwarded-For is trusted: a number of hops, or comma-separated addresses and ranges (`10.0.0.0/8`, `loopback`, `linklocal`, `uniquelocal`). Set it behind a proxy; otherwise all clients share one address and its limits.',
  }),
  requirePairedRooms: flag('REQUIRE_PAIRED_ROOMS', {
    description:
      'Allows only the two paired devices of a room to join it. Needs USE_SQLITE or REDIS_URL, and clients that send `deviceId`.',
  }),
  requireDeviceSecrets: flag('REQUIRE_DEVICE_SECRETS', {
    description:
      'Requires the device secret from every client, for checks, joins of paired rooms, ICE servers and deletions. Needs USE_SQLITE or REDIS_URL. With 0, a device needs its secret only after it has sent it once.',
  }),
  joinCodeDigits: integer('JOIN_CODE_DIGITS', [6, 12], {
    default: JOIN_CODE_DIGITS,
    description:
      'Number of digits of a join code. SECURITY.md has the probability of a correct guess for each length.',
  }),
  maxFailedGuessesPerMinute: integer('MAX_FAILED_GUESSES_PER_MINUTE', [1, 1_000_000], {
    default: 300,
    description:
      'Failed accepts and checks per minute, of all clients together, that are answered 404. A create of a live code counts too. Beyond it, the guess alarm is raised, and addresses with recent failures are refused with 429. Any other address has one try, which is answered 429 if it fails.',
  }),
  maxConnections: integer('MAX_CONNECTIONS', [1, 10_000_000], {
    default: 50_000,
    description:
      'Maximum number of WebSocket connections at once. Each connection is in at most one room.',
  }),
  maxConnectionsPerAddress: integer('MAX_CONNECTIONS_PER_ADDRESS', [1, 10_000_000], {
    default: 500,
    description:
      'Maximum number of WebSocket connections from one address at once (IPv6: from one /64).',
  }),
  maxLoadPerAddress: integer('MAX_LOAD_PER_ADDRESS', [0, 1_000_000], {
    default: 250,
    description:
      'Load that one address may cause (IPv6: one /64), in milliseconds of nominal processing time per second. Each operation has a fixed cost, such as 0.16 ms for a request. The load of one second may arrive in a burst. Beyond it, sockets of the address are read more slowly and its requests are answered 429. 0: no limit.',
  }),
  maxLogLinesPerAddress: integer('MAX_LOG_LINES_PER_ADDRESS', [1, 1_000_000_000], {
    default: 600,
    description:
      'Log lines of level info, and debug lines of requests, that one address may cause per minute (IPv6: one /64). Further lines are dropped, and one line per minute reports their number.',
  }),
  maxSocketsPerAddress: integer('MAX_SOCKETS_PER_ADDRESS', [1, 10_000_000], {
    default: 1000,
    description:
      'Maximum number of TCP connections from one address at once (IPv6: from one /64), HTTP and WebSocket together. Connections of a proxy in TRUST_PROXY are not counted.',
  }),
  maxSockets: integer('MAX_SOCKETS', [1, 10_000_000], {
    default: 60_000,
    description:
      'Maximum number of TCP connections at once, HTTP and WebSocket together. Each needs one file descriptor.',
  }),
  listenBacklog: integer('LISTEN_BACKLOG', [1, 1_000_000], {
    default: 4096,
    description:
      'Connections that wait in the kernel until they are accepted, at most `net.core.somaxconn`. The kernel drops further ones, and their clients try again after a second.',
  }),
  maxMessagesPerSecond: integer('MAX_MESSAGES_PER_SECOND', [1, 10_000_000], {
    default: 100,
    description:
      'Messages that one connection may send per second, on average over a few seconds. Beyond it, the client gets a warning, then the connection is closed with 1008.',
  }),
  maxBytesPerSecond: integer('MAX_BYTES_PER_SECOND', [1024, 10_000_000_000], {
    default: 262_144,
    description:
      'Bytes that one connection may send per second, on average over a few seconds. Beyond it, the client gets a warning, then the connection is closed with 1008.',
  }),
  maxBodyBytes: integer('MAX_BODY_BYTES', [1024, 16_777_216], {
    default: 65_536,
    description:
      'Largest request body, in bytes. A purge may have 844,024 bytes, enough for 1000 ids and their secrets.',
  }),
  requestTimeoutSeconds: integer('REQUEST_TIMEOUT_SECONDS', [1, 600], {
    default: 10,
    description:
      'Longest time in which a request or an opening handshake must arrive completely, in seconds. The time until the answer is not counted.',
  }),
  maxPendingsPerDevice: integer('MAX_PENDINGS_PER_DEVICE', [1, 1_000_000], {
    default: 50,
    description: 'Maximum number of live pendings of one device.',
  }),
  maxPendingsPerAddress: integer('MAX_PENDINGS_PER_ADDRESS', [1, 10_000_000], {
    default: 500,
    description: 'Maximum number of live pendings created from one address (IPv6: from one /64).',
  }),
  maxRooms: integer('MAX_ROOMS', [1, 1_000_000_000], {
    default: 5_000_000,
    description: 'Maximum number of stored paired rooms.',
  }),
  maxIdempotencyRecords: integer('MAX_IDEMPOTENCY_RECORDS', [1, 100_000_000], {
    default: 500_000,
    description:
      'Maximum number of answers stored under their Idempotency-Key. Each is stored for ten minutes.',
  }),
  maxKeyedRequestsPerHour: integer('MAX_KEYED_REQUESTS_PER_HOUR', [1, 1_000_000_000], {
    default: 10_000,
    description:
      'Requests with an Idempotency-Key that one address may send at once (IPv6: one /64). The allowance refills within an hour. Prevents one address from filling the idempotency records.',
  }),
  maxWaitingChecks: integer('MAX_WAITING_CHECKS', [0, 1_000_000], {
    default: 20_000,
    description:
      'Maximum number of checks held by `Prefer: wait` at the same time. Further checks are answered immediately.',
  }),
  maxCreatesPerHour: integer('MAX_CREATES_PER_HOUR', [1, 1_000_000_000], {
    default: 300,
    description:
      'Pendings that one address may create at once (IPv6: one /64). The allowance refills within an hour. The answer to a create shows whether a code is live, so each create is a guess. Many users behind one address may need more.',
  }),
};
