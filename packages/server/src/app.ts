// Builds the Fastify app from the configuration: the composition root, and the only file that imports from every folder.
import type { Server as TlsServer } from 'node:tls';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { type Cancel, type Clock, systemClock } from './base/clock.js';
import { VERSION } from './base/version.js';
import { type Engine, type EngineDeps, embeddedEngine } from './engine.js';
import { adminGuard, metricsRoute } from './http/admin.js';
import { authorizeRequests, type RequestRule } from './http/authorize.js';
import { trustProxy } from './http/client-address.js';
import { corsHeaders } from './http/cors.js';
import { directRoutes } from './http/direct-routes.js';
import { CLIENT_ERROR_CODES, handleClientError, handleError, sendError } from './http/errors.js';
import { onAnswered, onEveryRequest, requestIds } from './http/every-request.js';
import { healthRoutes } from './http/health.js';
import { hostRule } from './http/hosts.js';
import { acceptOnlyJson } from './http/json-body.js';
import { lanOrigins } from './http/lan-addresses.js';
import { Lifecycle } from './http/lifecycle.js';
import { describeRoutes } from './http/openapi.js';
import { failSocket, paceRequests } from './http/paced-requests.js';
import { answerOddRequests, httpOptions } from './http/server.js';
import { limitSockets } from './http/sockets.js';
import { schemaController } from './http/validation.js';
import { AddressBudgets } from './limits/address-budget.js';
import { Stalls } from './limits/event-loop-stalls.js';
import type { Logger } from './observability/logger.js';
import { Metrics } from './observability/metrics.js';
import type { Services } from './observability/services.js';
import { PUBLIC_FOLDER } from './pages/files.js';
import { hasDemo, pageRoutes } from './pages/routes.js';
import { disableRoomsApi, serveRoomsApi } from './pairing/rooms-api.js';
import type { PairingStore } from './pairing/store.js';
import { NO_NOTIFIER, type Notifier, type NotifierDeps } from './push/notifier.js';
import { pushRoute } from './push/routes.js';
import { createWaker } from './push/wake.js';
import type { Config } from './settings/config.js';
import { originRule } from './settings/origins.js';
import { hasPush } from './settings/push.js';
import { roomListRoute } from './signaling/routes.js';
import type { SignalingGate } from './signaling/services.js';
import { startSignaling } from './signaling/signaling.js';
import { createIceServers } from './turn/ice-servers.js';
import type { ManagedServers } from './turn/managed-servers.js';
import { iceServersRoute } from './turn/routes.js';

/** Access rules of the embedding application. Without a rule, access is allowed. */
export interface Authorize extends SignalingGate {
  /** Whether a request under /api is served; otherwise it is answered 401. */
  request?: RequestRule;
}

/** Dependencies of the app; each has a default. */
export interface AppDeps {
  /** Log of the app; by default, nothing is logged. */
  log?: Logger;
  clock?: Clock;
  /** Metrics that GET /metrics serves. The embedding application may add its own. */
  metrics?: Metrics;
  /** Access rules of the embedding application; by default, everything is allowed. */
  authorize?: Authorize;
  /**
   * Store of the pairings; by default, the one in the configuration. The app closes it. If the store has no
   * `failedGuesses`, this process counts the limits of guesses and requests alone, even with `REDIS_URL`.
   */
  store?: PairingStore;
  /** Wakes devices; by default, through the push services in the configuration. The app closes it. */
  notifier?: Notifier;
  /**
   * Whether the most frequent requests bypass Fastify. They then take a tenth less CPU time, but hooks, parsers and error
   * handlers that are added to the app do not apply to them. Has no effect with a rule for requests. Defaults to false.
   */
  direct?: boolean;
  /** A server that also accepts connections for this app, by TLS. The caller lets it listen; the app closes it. */
  tlsServer?: TlsServer;
  /** Folder of the built /client.js and /demo; by default, the folder in this package. */
  publicFolder?: string;
  /** Stalls of the event loop, by which GET /readyz judges; by default, those of this process. */
  stalls?: Pick<Stalls, 'takeLongest'>;
  /** Measures the load of each address; by default, in real time, even if `clock` is another clock. */
  loadClock?: Clock;
}

/**
 * Builds the whole server without listening. `await app.listen({ port })` starts it. `await app.close()` answers the
 * running requests, closes every WebSocket with 1012 and closes the store. Response schemas of routes that are added to
 * the app only describe answers; they do not filter them.
 *
 * @throws DatabaseRefused if the database cannot be used
 */
export async function buildApp(config: Config, deps: AppDeps = {}): Promise<FastifyInstance> {
  const { log, clock = systemClock, authorize = {}, metrics = new Metrics() } = deps;
  const { loadClock = systemClock } = deps;
  const trust = trustProxy(config, log);
  const stalls = new Stalls(loadClock);
  const malformed = metrics.counter(
    'couplet_http_malformed_total',
    'Connections answered with an error because their bytes were not a complete HTTP request.',
    'code',
    CLIENT_ERROR_CODES,
  );
  const nextId = requestIds();
  const app = Fastify({
    ...(log ? { loggerInstance: log as FastifyBaseLogger } : { logger: false }),
    logController: new LogController({ disableRequestLogging: true }),
    requestIdHeader: false,
    genReqId: nextId,
    trustProxy: trust,
    schemaController,
    bodyLimit: config.maxBodyBytes,
    requestTimeout: config.requestTimeoutSeconds * 1000,
    return503OnClosing: false,
    // Fastify's default of ten seconds could end a shutdown too early; SHUTDOWN_SECONDS bounds it.
    pluginTimeout: 0,
    http: httpOptions(config),
    clientErrorHandler: (error, socket) => {
      failSocket(socket);
      handleClientError(error, socket, (code) => {
        malformed[code] += 1;
      });
    },
    frameworkErrors: (error, request, reply) => handleError(error, request, reply),
  }) as unknown as FastifyInstance;
  const appLog = app.log as Logger;
  const services = { config, clock, metrics, log: appLog };
  const guard = adminGuard(config);
  const lifecycle = new Lifecycle(deps.stalls ?? stalls);
  app.setErrorHandler(handleError);
  app.setNotFoundHandler((_request, reply) => sendError(reply, 'not_found'));
  acceptOnlyJson(app);
  const budgets = new AddressBudgets({ config, clock: loadClock, stalls, log: appLog });
  budgets.measure(metrics);
  const httpServices = {
    ...services,
    budgets,
    trust,
    hostFault: hostRule(config),
    corsHeaders: corsHeaders(config),
    lifecycle,
    answered: onAnswered(metrics.requests(), appLog),
    nextId,
  };
  const mayBypass = deps.direct && authorize.request === undefined;
  paceRequests(app.server, httpServices, mayBypass ? directRoutes(app, httpServices) : () => false);
  const endSpareSockets = limitSockets(app.server, httpServices);
  answerOddRequests(app);
  onEveryRequest(app, httpServices);
  lifecycle.routes(app);
  authorizeRequests(app, authorize.request);
  const emptyApp = () => Fastify({ schemaController, exposeHeadRoutes: false });
  describeRoutes(app, emptyApp as unknown as () => FastifyInstance);
  healthRoutes(app, () => hasDemo(app));
  metricsRoute(app, metrics, guard);
  app.addHook('onClose', async () => {
    budgets.stop();
    stalls.stop();
  });

  // Before the engine, which would stay open if the credentials have a fault.
  const notifier = deps.notifier ?? (await openPush(services));
  const engine = await openEngine({ ...services, store: deps.store });
  const managed = await openManagedServers(services);
  const iceServers = createIceServers(config, clock, managed);
  const { store } = engine;
  const noticeMs = config.shutdownNoticeSeconds * 1000;
  app.addHook('preClose', async () => {
    lifecycle.isAnnounced = true;
    if (noticeMs > 0) await new Promise<void>((resolve) => clock.after(noticeMs, resolve));
    lifecycle.isDraining = true;
  });
  if (store === undefined) {
    appLog.warn('rooms API disabled because USE_SQLITE is not set: only signaling is served');
    disableRoomsApi(app);
  } else {
    const { onMissed } = engine;
    const rooms = serveRoomsApi(app, { ...httpServices, store, onMissed });
    const { isPaired } = rooms.pairing;
    iceServersRoute(app, { ...rooms, iceServers, isPaired, times: rooms.store });
    pushRoute(app, notifier);
  }
  for (const check of engine.checks) lifecycle.require(check);
  for (const note of engine.notes ?? []) lifecycle.remark(note);
  if (managed !== undefined) lifecycle.remark(managed.note);
  app.addHook('onClose', async () => {
    managed?.close();
    await engine.close();
  });

  pageRoutes(app, {
    ...httpServices,
    folder: deps.publicFolder ?? PUBLIC_FOLDER,
    // The demo needs the rooms API.
    demo: config.demo && store !== undefined,
    lanOrigins: () => [...lanOrigins('https', deps.tlsServer), ...lanOrigins('http', app.server)],
  });
  if (deps.tlsServer) joinTls(app, deps.tlsServer);
  const directory = {
    find: async (roomId: string) => store?.findRoom(roomId, clock.now()),
    prove: async (roomId: string, deviceId: string) => store?.prove(roomId, deviceId),
  };
  const waker = createWaker({
    rooms: store && {
      find: directory.find,
      claim: (roomId, deviceId) =>
        store.claimPush(roomId, deviceId, config.pushIntervalSeconds * 1000, clock.now()),
      forget: (roomId, deviceId, target) => store.forgetPushTarget(roomId, deviceId, target),
    },
    notifier,
    graceMs: config.pushGraceSeconds * 1000,
    ...services,
  });
  // Before the engine is closed, because hooks run in reverse order: an attempt in progress uses the store.
  app.addHook('onClose', async () => {
    waker.close();
    await notifier.close();
  });
  const signaling = startSignaling({
    ...httpServices,
    server: app.server,
    createBackplane: engine.createBackplane,
    directory,
    waker,
    iceServers,
    gate: authorize,
    allowsOrigin: originRule(config),
    stalls,
  });
  lifecycle.measure(metrics);
  measureLimits(metrics, config);
  roomListRoute(app, signaling.backplane, guard);
  const graceMs = config.shutdownSeconds * 1000;
  let cancelCutOff: Cancel = () => {};
  app.addHook('preClose', async () => {
    // A request whose body never arrives must not delay the shutdown longer than a WebSocket may.
    cancelCutOff = clock.after(graceMs, () => app.server.closeAllConnections());
    await signaling.drain(graceMs);
    endSpareSockets();
  });
  app.addHook('onClose', async () => cancelCutOff());
  return app;
}

/** Passes the decrypted connections to the server of the app, which then treats them like its own. */
function joinTls(app: FastifyInstance, tlsServer: TlsServer): void {
  tlsServer.on('secureConnection', (socket) => app.server.emit('connection', socket));
  app.addHook('preClose', async () => {
    tlsServer.close();
  });
}

/** Adds the limits as metrics, so that alerts need no copy of the settings. */
function measureLimits(metrics: Metrics, config: Config): void {
  const limits = {
    connections: config.maxConnections,
    sockets: config.maxSockets,
    waiting_checks: config.maxWaitingChecks,
    rooms: config.maxRooms,
    idempotency_records: config.maxIdempotencyRecords,
  };
  const names = Object.keys(limits) as (keyof typeof limits)[];
  metrics.levels(
    'couplet_limit',
    'The configured limit of a resource.',
    'resource',
    names,
    () => limits,
  );
  const build = { [VERSION]: 1 };
  metrics.levels(
    'couplet_build_info',
    'Always 1, with the version of the server as a label.',
    'version',
    [VERSION],
    () => build,
  );
}

/** Opens the push services of the configuration. Without any, their modules are not loaded. */
async function openPush(deps: NotifierDeps): Promise<Notifier> {
  if (hasPush(deps.config)) return (await import('./push/services.js')).openNotifier(deps);
  deps.log.info('push notifications are off, because no push service is configured');
  return NO_NOTIFIER;
}

/** Opens Redis if it is configured. Otherwise its modules are not loaded. */
async function openEngine(deps: EngineDeps): Promise<Engine> {
  if (deps.config.redisUrl === '') return embeddedEngine(deps);
  const { clusterEngine } = await import('./cluster-engine.js');
  return clusterEngine(deps);
}

/** Fetches from ICE_SERVERS_URL if it is configured. Otherwise its modules are not loaded. */
async function openManagedServers(deps: Services): Promise<ManagedServers | undefined> {
  if (deps.config.iceServersUrl === '') return undefined;
  const { fetchManagedServers } = await import('./turn/managed-servers.js');
  return fetchManagedServers(deps);
}
