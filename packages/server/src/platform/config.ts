// Environment → Config: one schema, every fault at once, by the variable's name.
import { DEFAULT_MAX_MESSAGE_BYTES, JOIN_CODE_DIGITS } from '@couplet/protocol';
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { TURN_SETTINGS, turnFaults } from './turn-settings.js';

/** Every setting: `env` is the variable, `default` what holds when it is unset or empty. docs/operations.md shows this table. */
export const ConfigSchema = Type.Object({
  port: Type.Integer({
    env: 'PORT',
    default: 8080,
    minimum: 0,
    maximum: 65_535,
    description: 'TCP port for HTTP and WebSocket; 0 takes a free one.',
  }),
  host: Type.String({
    env: 'HOST',
    default: '0.0.0.0',
    description: 'Address to listen on; `::` for IPv6 and IPv4.',
  }),
  useSqlite: Type.Boolean({
    env: 'USE_SQLITE',
    default: false,
    description:
      'Turns the rooms API on. Without it the server only forwards signaling. `npm start` and the container turn it on.',
  }),
  sqliteDbPath: Type.String({
    env: 'SQLITE_DB_PATH',
    default: './data/chat.db',
    description: 'The database file; made, with its folder, when absent.',
  }),
  allowedOrigins: Type.String({
    env: 'ALLOWED_ORIGINS',
    default: '*',
    pattern: '^(\\*|https?://[^\\s,/]+(\\s*,\\s*https?://[^\\s,/]+)*)$',
    description: 'Origins that browsers may call the API from: `*`, or a comma-separated list.',
  }),
  production: Type.Boolean({
    env: 'PRODUCTION',
    default: false,
    description:
      'Closes the debugging endpoint GET /rooms to all but the admin. The container turns it on.',
  }),
  adminToken: Type.String({
    env: 'ADMIN_TOKEN',
    default: '',
    pattern: '^(.{16,})?$',
    secret: true,
    description:
      'Opens GET /rooms in production, as `Authorization: Bearer …`; at least 16 characters. Empty: nobody may.',
  }),
  maxMessageBytes: Type.Integer({
    env: 'MAX_MESSAGE_BYTES',
    default: DEFAULT_MAX_MESSAGE_BYTES,
    minimum: 1024,
    maximum: 16_777_216,
    description:
      'Largest WebSocket message from a client, in bytes; a larger one closes with 1009.',
  }),
  maxBufferedBytes: Type.Integer({
    env: 'MAX_BUFFERED_BYTES',
    default: 1_048_576,
    minimum: 65_536,
    maximum: 1_073_741_824,
    description: 'Most bytes that may wait for one slow client, which is then closed with 4008.',
  }),
  heartbeatSeconds: Type.Integer({
    env: 'HEARTBEAT_SECONDS',
    default: 30,
    minimum: 1,
    maximum: 3600,
    description:
      'Time between WebSocket pings, in seconds; a client that answers two in a row with silence is gone.',
  }),
  trustProxy: Type.String({
    env: 'TRUST_PROXY',
    default: '',
    pattern:
      '^(\\d{1,2}|[0-9a-fA-F:./]+|loopback|linklocal|uniquelocal)(\\s*,\\s*([0-9a-fA-F:./]+|loopback|linklocal|uniquelocal))*$|^$',
    description:
      'Proxies whose X-Forwarded-For is believed: a number of hops, or addresses and ranges (`10.0.0.0/8`, `loopback`, `linklocal`, `uniquelocal`), comma-separated. Behind a proxy this must be set, or all clients share one address and its limits.',
  }),
  requirePairedRooms: Type.Boolean({
    env: 'REQUIRE_PAIRED_ROOMS',
    default: false,
    description:
      'Lets into a room only the two devices that paired it; needs USE_SQLITE, and clients that send `deviceId`.',
  }),
  joinCodeDigits: Type.Integer({
    env: 'JOIN_CODE_DIGITS',
    default: JOIN_CODE_DIGITS,
    minimum: 6,
    maximum: 12,
    description: 'Digits of a join code; SECURITY.md says how likely a guess is for each.',
  }),
  maxFailedGuessesPerMinute: Type.Integer({
    env: 'MAX_FAILED_GUESSES_PER_MINUTE',
    default: 300,
    minimum: 1,
    maximum: 1_000_000,
    description:
      'Failed accepts and checks of all clients together, per minute, beyond which every failure is answered late and the guess alarm is raised.',
  }),
  maxConnections: Type.Integer({
    env: 'MAX_CONNECTIONS',
    default: 50_000,
    minimum: 1,
    maximum: 10_000_000,
    description: 'Most WebSocket connections at once; each holds at most one room.',
  }),
  maxConnectionsPerAddress: Type.Integer({
    env: 'MAX_CONNECTIONS_PER_ADDRESS',
    default: 500,
    minimum: 1,
    maximum: 10_000_000,
    description: 'Most WebSocket connections from one address at once (IPv6: from one /64).',
  }),
  maxSockets: Type.Integer({
    env: 'MAX_SOCKETS',
    default: 60_000,
    minimum: 1,
    maximum: 10_000_000,
    description:
      'Most TCP connections at once, of whatever use; the process needs as many open files.',
  }),
  maxMessagesPerSecond: Type.Integer({
    env: 'MAX_MESSAGES_PER_SECOND',
    default: 100,
    minimum: 1,
    maximum: 10_000_000,
    description:
      'Messages one connection may send per second, on average over a few seconds; beyond, it is warned, then closed with 1008.',
  }),
  maxBytesPerSecond: Type.Integer({
    env: 'MAX_BYTES_PER_SECOND',
    default: 262_144,
    minimum: 1024,
    maximum: 10_000_000_000,
    description: 'The same in bytes.',
  }),
  maxBodyBytes: Type.Integer({
    env: 'MAX_BODY_BYTES',
    default: 65_536,
    minimum: 1024,
    maximum: 16_777_216,
    description: 'Largest request body, in bytes; a purge may have 2 MiB.',
  }),
  requestTimeoutSeconds: Type.Integer({
    env: 'REQUEST_TIMEOUT_SECONDS',
    default: 10,
    minimum: 1,
    maximum: 600,
    description:
      'Longest time for a request, or an opening handshake, to arrive whole, in seconds; how long an answer takes is not counted.',
  }),
  maxPendingsPerDevice: Type.Integer({
    env: 'MAX_PENDINGS_PER_DEVICE',
    default: 50,
    minimum: 1,
    maximum: 1_000_000,
    description: 'Most live pendings of one device.',
  }),
  maxPendingsPerAddress: Type.Integer({
    env: 'MAX_PENDINGS_PER_ADDRESS',
    default: 500,
    minimum: 1,
    maximum: 10_000_000,
    description: 'Most live pendings created from one address (IPv6: from one /64).',
  }),
  maxRooms: Type.Integer({
    env: 'MAX_ROOMS',
    default: 5_000_000,
    minimum: 1,
    maximum: 1_000_000_000,
    description: 'Most paired rooms that are kept.',
  }),
  maxIdempotencyRecords: Type.Integer({
    env: 'MAX_IDEMPOTENCY_RECORDS',
    default: 500_000,
    minimum: 1,
    maximum: 100_000_000,
    description: 'Most answers kept for their Idempotency-Key, for ten minutes each.',
  }),
  maxWaitingChecks: Type.Integer({
    env: 'MAX_WAITING_CHECKS',
    default: 20_000,
    minimum: 0,
    maximum: 1_000_000,
    description: 'Most checks held by `Prefer: wait` at once; further ones are answered at once.',
  }),
  roomIdleDays: Type.Integer({
    env: 'ROOM_IDLE_DAYS',
    default: 0,
    minimum: 0,
    maximum: 36_500,
    description:
      'Days after which a paired room that nobody asked for is deleted; 0 keeps rooms for ever. Apps take a deleted room for a closed contact.',
  }),
  shutdownClosesPerSecond: Type.Integer({
    env: 'SHUTDOWN_CLOSES_PER_SECOND',
    default: 2000,
    minimum: 1,
    maximum: 1_000_000,
    description:
      'Connections closed per second of a shutdown, so that their clients do not all come back at one instant; more, where SHUTDOWN_SECONDS would not do for all.',
  }),
  shutdownSeconds: Type.Integer({
    env: 'SHUTDOWN_SECONDS',
    default: 10,
    minimum: 0,
    maximum: 300,
    description: 'Longest time that a shutdown waits for what is under way, in seconds.',
  }),
  logLevel: Type.Union(
    [
      Type.Literal('fatal'),
      Type.Literal('error'),
      Type.Literal('warn'),
      Type.Literal('info'),
      Type.Literal('debug'),
      Type.Literal('silent'),
    ],
    { env: 'LOG_LEVEL', default: 'info', description: 'Least severe level that is logged.' },
  ),
  logFormat: Type.Union([Type.Literal('auto'), Type.Literal('json'), Type.Literal('pretty')], {
    env: 'LOG_FORMAT',
    default: 'auto',
    description: 'auto: pretty on a terminal, JSON lines otherwise.',
  }),
  ...TURN_SETTINGS,
});

/** The settings of one server; frozen. */
export type Config = Readonly<Static<typeof ConfigSchema>>;

/** What a property of {@link ConfigSchema} says of itself. */
interface Setting {
  env: string;
  default: string | number | boolean | readonly unknown[];
  description: string;
  secret?: true;
  /** Set where the server itself does not read it. */
  usedBy?: 'coturn';
  type?: string;
  items?: { type?: string };
  maxItems?: number;
  anyOf?: { const: string }[];
  minimum?: number;
  maximum?: number;
}

/** The settings by the name of their variable, in documented order. */
export const SETTINGS: ReadonlyMap<string, Setting & { key: keyof Config }> = new Map(
  Object.entries(ConfigSchema.properties).map(([key, schema]) => {
    const setting = schema as unknown as Setting;
    return [setting.env, { ...setting, key: key as keyof Config }];
  }),
);

/** Faults of a configuration, all of them: one readable line each. */
export class ConfigError extends Error {
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    super(faults.join('; '));
    this.name = 'ConfigError';
    this.faults = faults;
  }
}

/**
 * Reads the settings from an environment.
 *
 * @throws {@link ConfigError} with every fault found; it quotes no secret.
 */
export function parseConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const faults: string[] = [];
  const faulty: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, setting] of SETTINGS) {
    const text = env[name]?.trim() ?? '';
    const value = text === '' ? setting.default : fromText(setting, text);
    if (value === undefined || !checks[setting.key].Check(value)) {
      const got = setting.secret ? 'the value given' : JSON.stringify(text);
      faults.push(`${name}: ${got} is not ${expectation(setting)}`);
      faulty.push(name);
      values[setting.key] = setting.default;
    } else {
      values[setting.key] = value;
    }
  }
  // What hangs on a setting that is at fault anyway would only confuse.
  const cross = [...turnFaults(values as Config), ...pairedRoomFaults(values as Config)];
  faults.push(...cross.filter((fault) => !faulty.some((name) => fault.includes(name))));
  if (faults.length > 0) throw new ConfigError(faults);
  return Object.freeze(values) as Config;
}

/** Rooms are paired in the store. */
function pairedRoomFaults({ requirePairedRooms, useSqlite }: Config): string[] {
  if (!requirePairedRooms || useSqlite) return [];
  return ['REQUIRE_PAIRED_ROOMS: needs USE_SQLITE=1, or no room is ever paired'];
}

const checks = Object.fromEntries(
  Object.entries(ConfigSchema.properties).map(([key, schema]) => [key, Compile(schema)]),
) as Record<keyof Config, ReturnType<typeof Compile>>;

function fromText(setting: Setting, text: string): Config[keyof Config] | undefined {
  if (setting.type === 'integer') return /^-?\d{1,15}$/.test(text) ? Number(text) : undefined;
  if (setting.type === 'boolean') return BOOLEANS[text.toLowerCase()];
  if (setting.type === 'array' && setting.items?.type === 'string') return text.split(/\s*,\s*/);
  if (setting.type === 'array') return json(text);
  return text;
}

function json(text: string): Config[keyof Config] | undefined {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's error may quote a credential.
    return undefined;
  }
}

const BOOLEANS: Record<string, boolean | undefined> = {
  1: true,
  true: true,
  yes: true,
  on: true,
  0: false,
  false: false,
  no: false,
  off: false,
};

function expectation(setting: Setting): string {
  if (setting.type === 'integer') {
    return `a whole number from ${setting.minimum} to ${setting.maximum}`;
  }
  if (setting.type === 'boolean') return '1 or 0';
  if (setting.anyOf) return `one of ${setting.anyOf.map((option) => option.const).join(', ')}`;
  return `right here (${setting.description})`;
}
