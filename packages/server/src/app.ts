// Composition root: configuration and outside things in, one Fastify app out. The only file that sees every folder.
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { startSweep } from './pairing/expiry.js';
import { createPairing } from './pairing/pairing.js';
import { disabledPairingRoutes, pairingRoutes } from './pairing/routes.js';
import { openSqliteStore } from './pairing/sqlite-store.js';
import type { PairingStore } from './pairing/store.js';
import { Waiting } from './pairing/waiting.js';
import { adminGuard } from './platform/admin.js';
import { type Cancel, type Clock, systemClock } from './platform/clock.js';
import type { Config } from './platform/config.js';
import { allowOrigins } from './platform/cors.js';
import { healthRoutes } from './platform/health.js';
import { handleClientError, handleError, sendError } from './platform/http-errors.js';
import { answerOddRequests, HTTP_OPTIONS } from './platform/http-server.js';
import { acceptOnlyJson } from './platform/json-body.js';
import type { Logger } from './platform/logger.js';
import { describeRoutes } from './platform/openapi.js';
import { requestIds } from './platform/request-ids.js';
import { logRequests } from './platform/request-log.js';
import { compileValidator } from './platform/validation.js';
import { SERVER_NAME } from './platform/version.js';
import { roomRoutes } from './signaling/routes.js';
import { startSignaling } from './signaling/signaling.js';
import { createIceServers } from './turn/ice-servers.js';
import { iceServersRoute } from './turn/routes.js';

/** What the app takes from outside; each has a default. */
export interface AppDeps {
  /** Where the app logs; by default it is silent. */
  log?: Logger;
  clock?: Clock;
  /** Where pairings are kept; by default what the configuration says. The app closes it. */
  store?: PairingStore;
}

/** Largest request body, in bytes; a purge may be larger. */
const MAX_BODY_BYTES = 65_536;

const DAY_MS = 24 * 3600 * 1000;

/**
 * Builds the whole server without listening: `await app.listen({ port })` starts it, `await app.close()` answers what
 * is under way, closes every WebSocket with 1012 and closes the store.
 *
 * @throws DatabaseRefused if the database cannot serve
 */
export async function buildApp(config: Config, deps: AppDeps = {}): Promise<FastifyInstance> {
  const { log, clock = systemClock } = deps;
  const app = Fastify({
    ...(log ? { loggerInstance: log as FastifyBaseLogger } : { logger: false }),
    logController: new LogController({ disableRequestLogging: true }),
    requestIdHeader: false,
    genReqId: requestIds(),
    bodyLimit: MAX_BODY_BYTES,
    return503OnClosing: false,
    // Its ten seconds would cut a shutdown short; SHUTDOWN_SECONDS bounds that.
    pluginTimeout: 0,
    http: HTTP_OPTIONS,
    clientErrorHandler: handleClientError,
    frameworkErrors: (error, request, reply) => handleError(error, request, reply),
  }) as unknown as FastifyInstance;
  app.setValidatorCompiler(compileValidator);
  app.setErrorHandler(handleError);
  app.setNotFoundHandler((_request, reply) => sendError(reply, 'not_found'));
  acceptOnlyJson(app);
  logRequests(app);
  await allowOrigins(app, config);
  answerOddRequests(app);
  await describeRoutes(app);
  healthRoutes(app);

  const appLog = app.log as Logger;
  const store =
    deps.store ??
    (config.useSqlite
      ? openSqliteStore(config.sqliteDbPath, config.roomIdleDays * DAY_MS)
      : undefined);
  if (store === undefined) {
    appLog.warn('rooms API disabled: USE_SQLITE is not set, only signaling is served');
    disabledPairingRoutes(app);
  } else {
    const waiting = new Waiting(clock, config.maxWaitingChecks);
    pairingRoutes(app, createPairing(store, waiting, clock), store, clock);
    const stopSweep = startSweep(store, clock, appLog);
    app.addHook('preClose', async () => waiting.close());
    app.addHook('onClose', async () => {
      stopSweep();
      await store.close();
    });
  }

  const directory = { find: async (roomId: string) => store?.findRoom(roomId, clock.now()) };
  const iceServers = createIceServers(config, clock);
  iceServersRoute(app, iceServers, store && directory);
  const signaling = startSignaling(
    app.server,
    config,
    directory,
    iceServers,
    SERVER_NAME,
    clock,
    appLog,
  );
  roomRoutes(app, signaling.backplane, adminGuard(config));
  const graceMs = config.shutdownSeconds * 1000;
  let cancelCutOff: Cancel = () => {};
  app.addHook('preClose', () => {
    // A request whose body never comes is under way for ever: it must not hold the shutdown longer than a WebSocket may.
    cancelCutOff = clock.after(graceMs, () => app.server.closeAllConnections());
    return signaling.drain(graceMs);
  });
  app.addHook('onClose', async () => cancelCutOff());
  return app;
}
