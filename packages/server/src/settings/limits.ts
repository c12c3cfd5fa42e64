// Declares the settings of access and of limits.
import { DEFAULT_MAX_MESSAGE_BYTES, JOIN_CODE_DIGITS } from '@couplet/protocol';
import { Type } from '@couplet/protocol/typebox';

/** Spread into the schema of the configuration; docs/operations.md shows them. */
export const LIMIT_SETTINGS = {
  maxMessageBytes: Type.Integer({
    env: 'MAX_MESSAGE_BYTES',
    default: DEFAULT_MAX_MESSAGE_BYTES,
    minimum: 1024,
    maximum: 16_777_216,
    description:
      'Largest WebSocket message from a client, in bytes. A larger message closes the connection with 1009.',
  }),
  maxBufferedBytes: Type.Integer({
    env: 'MAX_BUFFERED_BYTES',
    default: 1_048_576,
    minimum: 65_536,
    maximum: 1_073_741_824,
    description:
      'Maximum number of bytes that wait to be sent to one client. Beyond it, the connection is closed with 4008.',
  }),
  trustProxy: Type.String({
    env: 'TRUST_PROXY',
    default: '',
    pattern:
      '^(\\d{1,2}|[0-9a-fA-F:./]+|loopback|linklocal|uniquelocal)(\\s*,\\s*([0-9a-fA-F:./]+|loopback|linklocal|uniquelocal))*$|^$',
    description:
      'Proxies whose X-Forwarded-For is trusted: a number of hops, or comma-separated addresses and ranges (`10.0.0.0/8`, `loopback`, `linklocal`, `uniquelocal`). Set it behind a proxy; otherwise all clients share one address and its limits.',
  }),
  requirePairedRooms: Type.Boolean({
    env: 'REQUIRE_PAIRED_ROOMS',
    default: false,
    description:
      'Allows only the two paired devices of a room to join it. Needs USE_SQLITE or REDIS_URL, and clients that send `deviceId`.',
  }),
  requireDeviceSecrets: Type.Boolean({
    env: 'REQUIRE_DEVICE_SECRETS',
    default: false,
    description:
      'Requires the device secret from every client, for checks, joins of paired rooms, ICE servers and deletions. Needs USE_SQLITE or REDIS_URL. With 0, a device needs its secret only after it has sent it once.',
  }),
  joinCodeDigits: Type.Integer({
    env: 'JOIN_CODE_DIGITS',
    default: JOIN_CODE_DIGITS,
    minimum: 6,
    maximum: 12,
    description:
      'Number of digits of a join code. SECURITY.md has the probability of a correct guess for each length.',
  }),
  maxFailedGuessesPerMinute: Type.Integer({
    env: 'MAX_FAILED_GUESSES_PER_MINUTE',
    default: 300,
    minimum: 1,
    maximum: 1_000_000,
    description:
      'Failed accepts and checks per minute, of all clients together, that are answered 404. A create of a live code counts too. Beyond it, the guess alarm is raised, and addresses with recent failures are refused with 429. Any other address has one try, which is answered 429 if it fails.',
  }),
  maxConnections: Type.Integer({
    env: 'MAX_CONNECTIONS',
    default: 50_000,
    minimum: 1,
    maximum: 10_000_000,
    description:
      'Maximum number of WebSocket connections at once. Each connection is in at most one room.',
  }),
  maxConnectionsPerAddress: Type.Integer({
    env: 'MAX_CONNECTIONS_PER_ADDRESS',
    default: 500,
    minimum: 1,
    maximum: 10_000_000,
    description:
      'Maximum number of WebSocket connections from one address at once (IPv6: from one /64).',
  }),
  maxLoadPerAddress: Type.Integer({
    env: 'MAX_LOAD_PER_ADDRESS',
    default: 250,
    minimum: 0,
    maximum: 1_000_000,
    description:
      'Load that one address may cause (IPv6: one /64), in milliseconds of nominal processing time per second. Each operation has a fixed cost, such as 0.16 ms for a request. The load of one second may arrive in a burst. Beyond it, sockets of the address are read more slowly and its requests are answered 429. 0: no limit.',
  }),
  maxLogLinesPerAddress: Type.Integer({
    env: 'MAX_LOG_LINES_PER_ADDRESS',
    default: 600,
    minimum: 1,
    maximum: 1_000_000_000,
    description:
      'Log lines of level info that one address may cause per minute (IPv6: one /64). Further lines are dropped, and one line per minute reports their number.',
  }),
  maxSocketsPerAddress: Type.Integer({
    env: 'MAX_SOCKETS_PER_ADDRESS',
    default: 1000,
    minimum: 1,
    maximum: 10_000_000,
    description:
      'Maximum number of TCP connections from one address at once (IPv6: from one /64), HTTP and WebSocket together. Connections of a proxy in TRUST_PROXY are not counted.',
  }),
  maxSockets: Type.Integer({
    env: 'MAX_SOCKETS',
    default: 60_000,
    minimum: 1,
    maximum: 10_000_000,
    description:
      'Maximum number of TCP connections at once, HTTP and WebSocket together. Each needs one file descriptor.',
  }),
  listenBacklog: Type.Integer({
    env: 'LISTEN_BACKLOG',
    default: 4096,
    minimum: 1,
    maximum: 1_000_000,
    description:
      'Connections that wait in the kernel until they are accepted, at most `net.core.somaxconn`. The kernel drops further ones, and their clients try again after a second.',
  }),
  maxMessagesPerSecond: Type.Integer({
    env: 'MAX_MESSAGES_PER_SECOND',
    default: 100,
    minimum: 1,
    maximum: 10_000_000,
    description:
      'Messages that one connection may send per second, on average over a few seconds. Beyond it, the client gets a warning, then the connection is closed with 1008.',
  }),
  maxBytesPerSecond: Type.Integer({
    env: 'MAX_BYTES_PER_SECOND',
    default: 262_144,
    minimum: 1024,
    maximum: 10_000_000_000,
    description:
      'Bytes that one connection may send per second, on average over a few seconds. Beyond it, the client gets a warning, then the connection is closed with 1008.',
  }),
  maxBodyBytes: Type.Integer({
    env: 'MAX_BODY_BYTES',
    default: 65_536,
    minimum: 1024,
    maximum: 16_777_216,
    description:
      'Largest request body, in bytes. A purge may have 844,024 bytes, enough for 1000 ids and their secrets.',
  }),
  requestTimeoutSeconds: Type.Integer({
    env: 'REQUEST_TIMEOUT_SECONDS',
    default: 10,
    minimum: 1,
    maximum: 600,
    description:
      'Longest time in which a request or an opening handshake must arrive completely, in seconds. The time until the answer is not counted.',
  }),
  maxPendingsPerDevice: Type.Integer({
    env: 'MAX_PENDINGS_PER_DEVICE',
    default: 50,
    minimum: 1,
    maximum: 1_000_000,
    description: 'Maximum number of live pendings of one device.',
  }),
  maxPendingsPerAddress: Type.Integer({
    env: 'MAX_PENDINGS_PER_ADDRESS',
    default: 500,
    minimum: 1,
    maximum: 10_000_000,
    description: 'Maximum number of live pendings created from one address (IPv6: from one /64).',
  }),
  maxRooms: Type.Integer({
    env: 'MAX_ROOMS',
    default: 5_000_000,
    minimum: 1,
    maximum: 1_000_000_000,
    description: 'Maximum number of stored paired rooms.',
  }),
  maxIdempotencyRecords: Type.Integer({
    env: 'MAX_IDEMPOTENCY_RECORDS',
    default: 500_000,
    minimum: 1,
    maximum: 100_000_000,
    description:
      'Maximum number of answers stored under their Idempotency-Key. Each is stored for ten minutes.',
  }),
  maxKeyedRequestsPerHour: Type.Integer({
    env: 'MAX_KEYED_REQUESTS_PER_HOUR',
    default: 10_000,
    minimum: 1,
    maximum: 1_000_000_000,
    description:
      'Requests with an Idempotency-Key that one address may send at once (IPv6: one /64). The allowance refills within an hour. Prevents one address from filling the idempotency records.',
  }),
  maxWaitingChecks: Type.Integer({
    env: 'MAX_WAITING_CHECKS',
    default: 20_000,
    minimum: 0,
    maximum: 1_000_000,
    description:
      'Maximum number of checks held by `Prefer: wait` at the same time. Further checks are answered immediately.',
  }),
  maxCreatesPerHour: Type.Integer({
    env: 'MAX_CREATES_PER_HOUR',
    default: 300,
    minimum: 1,
    maximum: 1_000_000_000,
    description:
      'Pendings that one address may create at once (IPv6: one /64). The allowance refills within an hour. The answer to a create shows whether a code is live, so each create is a guess. Many users behind one address may need more.',
  }),
};
