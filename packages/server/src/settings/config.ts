// Declares the schema of all settings, and parses and validates the environment.
import { Compile, type Static, Type } from '@couplet/protocol/typebox';
import { parsedJson } from '../base/json.js';
import { hostsFault } from './host-names.js';
import { choice, flag, integer, text } from './kinds.js';
import { LIMIT_SETTINGS } from './limits.js';
import { originsFault } from './origins.js';
import { PUSH_CHECKS, PUSH_SETTINGS } from './push.js';
import { REDIS_SETTINGS, redisUrlFault } from './redis.js';
import { trustProxyFault } from './trust-proxy.js';
import { TURN_CHECKS, TURN_SETTINGS } from './turn.js';

/** All settings. The table in docs/operations.md comes from here. */
export const ConfigSchema = Type.Object({
  port: integer('PORT', [0, 65_535], {
    default: 8080,
    description: 'TCP port for HTTP and WebSocket. 0: any free port.',
  }),
  host: text('HOST', {
    default: '0.0.0.0',
    description: 'Address to listen on; `::` for IPv6 and IPv4.',
  }),
  useSqlite: flag('USE_SQLITE', {
    description:
      'Turns the rooms API on, with SQLite. Without the rooms API, the server only forwards signaling messages. `npm start` and the container image set it to 1.',
  }),
  sqliteDbPath: text('SQLITE_DB_PATH', {
    default: './data/chat.db',
    description:
      'Path of the database file. If the file does not exist, the server creates it with mode 0600, and its folder with mode 0700.',
  }),
  allowedOrigins: text('ALLOWED_ORIGINS', {
    default: '*',
    description:
      'Origins whose pages may call the API and open a WebSocket: `*`, or a comma-separated list such as `https://app.example.org, capacitor://localhost`.',
  }),
  allowedHosts: text('ALLOWED_HOSTS', {
    description:
      'Host names of this server, comma-separated and without ports. A request with another `Host` is answered 403. IP addresses and `localhost` are always allowed. Empty: any name. The list prevents DNS rebinding, an attack by which a web page reaches a server in a private network.',
  }),
  demo: flag('DEMO', {
    default: true,
    description:
      'Serves the demo page at /demo if the rooms API is on. /client.js is always served.',
  }),
  production: flag('PRODUCTION', {
    description:
      'With 1, GET /rooms and GET /metrics require ADMIN_TOKEN, and the server warns at its start if MAX_SOCKETS is more than the process may open. With 0 and without ADMIN_TOKEN, these routes answer only requests from the same machine. The container image sets it to 1.',
  }),
  adminToken: text('ADMIN_TOKEN', {
    form: '.{16,}',
    secret: true,
    description:
      'Token for GET /rooms and GET /metrics, sent as `Authorization: Bearer …`; at least 16 characters. If it is empty, these routes answer only requests from the same machine, or no requests at all with PRODUCTION=1.',
  }),
  heartbeatSeconds: integer('HEARTBEAT_SECONDS', [1, 3600], {
    default: 30,
    description:
      'Time between WebSocket pings, in seconds. A connection that does not answer two pings in a row is dropped.',
  }),
  roomIdleDays: integer('ROOM_IDLE_DAYS', [0, 36_500], {
    default: 0,
    description:
      'Days after which an unused paired room is deleted. 0: rooms are never deleted for being unused. Apps treat a deleted room as the end of the pairing.',
  }),
  shutdownClosesPerSecond: integer('SHUTDOWN_CLOSES_PER_SECOND', [1, 1_000_000], {
    default: 2000,
    description:
      'WebSocket connections closed per second during a shutdown, so that clients do not all reconnect at the same time. The rate is higher if SHUTDOWN_SECONDS would otherwise be too short.',
  }),
  shutdownSeconds: integer('SHUTDOWN_SECONDS', [0, 300], {
    default: 10,
    description:
      'Longest time that a shutdown waits for open connections and running requests, in seconds.',
  }),
  shutdownNoticeSeconds: integer('SHUTDOWN_NOTICE_SECONDS', [0, 300], {
    default: 0,
    description:
      'Time before a shutdown closes anything, in seconds. Meanwhile GET /readyz answers 503 and everything else is served, so that load balancers stop sending traffic first.',
  }),
  logLevel: choice('LOG_LEVEL', ['fatal', 'error', 'warn', 'info', 'debug', 'silent'], {
    default: 'info',
    description: 'Lowest level that is logged. On a terminal, the default is `warn`.',
  }),
  logFormat: choice('LOG_FORMAT', ['auto', 'json', 'pretty'], {
    default: 'auto',
    description: 'Format of the log. auto: pretty on a terminal, JSON lines otherwise.',
  }),
  ...REDIS_SETTINGS,
  ...LIMIT_SETTINGS,
  ...TURN_SETTINGS,
  ...PUSH_SETTINGS,
});

/** The settings of one server; frozen. */
export type Config = Readonly<Static<typeof ConfigSchema>>;

/** Keywords of a property of {@link ConfigSchema}. */
interface Setting {
  env: string;
  default: string | number | boolean | readonly unknown[];
  description: string;
  secret?: true;
  /** Set if the server itself does not read the setting. */
  usedBy?: 'coturn';
  type?: string;
  items?: { type?: string };
  maxItems?: number;
  enum?: readonly string[];
  minimum?: number;
  maximum?: number;
}

/** Settings by variable name, in the order of the documentation. */
export const SETTINGS: ReadonlyMap<string, Setting & { key: keyof Config }> = new Map(
  Object.entries(ConfigSchema.properties).map(([key, schema]) => {
    const setting = schema as unknown as Setting;
    return [setting.env, { ...setting, key: key as keyof Config }];
  }),
);

/**
 * Whether a variable has a value. An empty variable counts as unset. So does an address such as `tcp://10.96.0.10:3478`
 * in a variable whose name ends in `_PORT`: Kubernetes sets `TURN_PORT` to one in every container of a namespace that
 * has a Service named `turn`.
 */
export const isSet = (name: string, text = ''): boolean =>
  text.trim() !== '' && !(name.endsWith('_PORT') && /^\s*(tcp|udp|sctp):\/\//i.test(text));

/** All faults of a configuration, one line each. */
export class ConfigError extends Error {
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    super(faults.join('; '));
    this.name = 'ConfigError';
    this.faults = faults;
  }
}

/**
 * Parses the settings from an environment.
 *
 * @throws {@link ConfigError} with every fault found; it quotes no secret.
 */
export function parseConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const faults: string[] = [];
  const faulty = new Set<PropertyKey>();
  const values: Record<PropertyKey, unknown> = {};
  for (const [name, setting] of SETTINGS) {
    const text = env[name]?.trim() ?? '';
    const value = isSet(name, text) ? fromText(setting, text) : setting.default;
    if (value !== undefined && checks[setting.key].Check(value)) {
      values[setting.key] = value;
      continue;
    }
    const got = setting.secret ? 'a value that is not shown' : JSON.stringify(text);
    faults.push(`${name}: expected ${expectation(setting)}, got ${got}`);
    faulty.add(setting.key);
    values[setting.key] = setting.default;
  }
  for (const check of CROSS_CHECKS) {
    let isSound = true;
    const settings = new Proxy(values, {
      get(_, key) {
        isSound &&= !faulty.has(key);
        return values[key];
      },
    });
    const fault = check(settings as Config);
    if (fault !== undefined && isSound) faults.push(fault);
  }
  if (faults.length > 0) throw new ConfigError(faults);
  return Object.freeze(values) as Config;
}

/**
 * Checks across several settings, each of which is valid by itself. They return the fault, as one line that begins with
 * the variable's name. A fault is not reported if its check read a setting that has a fault itself.
 */
const CROSS_CHECKS: readonly ((settings: Config) => string | undefined)[] = [
  ...TURN_CHECKS,
  ...PUSH_CHECKS,
  ({ requirePairedRooms, useSqlite, redisUrl }) =>
    // Only the rooms API pairs rooms, and it needs a store.
    requirePairedRooms && !useSqlite && redisUrl === ''
      ? 'REQUIRE_PAIRED_ROOMS: needs USE_SQLITE=1 or REDIS_URL; without them, no room is ever paired'
      : undefined,
  ({ requireDeviceSecrets, useSqlite, redisUrl }) =>
    requireDeviceSecrets && !useSqlite && redisUrl === ''
      ? 'REQUIRE_DEVICE_SECRETS: needs USE_SQLITE=1 or REDIS_URL, which store the secrets'
      : undefined,
  trustProxyFault,
  originsFault,
  hostsFault,
  redisUrlFault,
];

const checks = Object.fromEntries(
  Object.entries(ConfigSchema.properties).map(([key, schema]) => [key, Compile(schema)]),
) as Record<keyof Config, ReturnType<typeof Compile>>;

function fromText(setting: Setting, text: string): Config[keyof Config] | undefined {
  if (setting.type === 'integer') return /^-?\d{1,15}$/.test(text) ? Number(text) : undefined;
  if (setting.type === 'boolean') return BOOLEANS[text.toLowerCase()];
  if (setting.type === 'array' && setting.items?.type === 'string') return text.split(/\s*,\s*/);
  if (setting.type === 'array') return parsedJson(text) as Config[keyof Config] | undefined;
  return text;
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
  if (setting.enum) return `one of ${setting.enum.join(', ')}`;
  return `a valid value (${setting.description.replace(/\.$/, '')})`;
}
