// Serves the most frequent requests without Fastify, in fewer steps. Handlers, schemas and errors are the same.
//
// A request is served here only if its URL is exactly that of a route and its body is JSON of a known length. Fastify serves
// all others. It also serves requests that are refused before their body is read, and every request during a shutdown.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import type { Logger } from '../observability/logger.js';
import { ANSWER_HEADERS, handleError } from './errors.js';
import { collect, parseBody } from './json-body.js';
import type { HttpServices } from './services.js';
import { compileValidator } from './validation.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether the route may be served here. It then has no hooks and no limits of its own, and validates only its body. */
    direct?: boolean;
  }
}

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>;

/** The parts of Fastify's request that handlers use. */
class DirectRequest {
  readonly method = 'POST';
  readonly raw: IncomingMessage;
  readonly headers: IncomingMessage['headers'];
  readonly id: string;
  readonly routeOptions: RouteOptions;
  body: unknown;
  readonly #log: Logger;

  constructor(raw: IncomingMessage, id: string, route: RouteOptions, log: Logger) {
    this.raw = raw;
    this.headers = raw.headers;
    this.id = id;
    this.routeOptions = route;
    this.#log = log;
  }

  get log(): Logger {
    return this.#log.child({ reqId: this.id });
  }
}

/** The parts of Fastify's reply that handlers use. The names of headers are in lower case. */
class DirectReply {
  readonly raw: ServerResponse;
  readonly #headers: Record<string, string>;
  readonly #startedAt = performance.now();
  readonly #request: DirectRequest;
  readonly #services: HttpServices;

  constructor(raw: ServerResponse, request: DirectRequest, services: HttpServices) {
    this.raw = raw;
    this.#request = request;
    this.#services = services;
    const corsHeaders = services.corsHeaders(request.headers.origin);
    this.#headers = { 'x-request-id': request.id, ...ANSWER_HEADERS, ...corsHeaders };
  }

  code(status: number): this {
    this.raw.statusCode = status;
    return this;
  }

  header(name: string, value: string): this {
    this.#headers[name] = value;
    return this;
  }

  headers(headers: Readonly<Record<string, string>>): this {
    // Copied one by one: a spread gives each object a hidden class of its own, which doubles the time of garbage collection.
    for (const name in headers) this.#headers[name] = headers[name] as string;
    return this;
  }

  /** Sends JSON, or no body, which requires the status 204. */
  send(body?: object): this {
    const { raw } = this;
    // After an answer, a handler can fail only because of a bug, which is logged. Without a connection, there is no answer.
    if (raw.headersSent || raw.destroyed) return this;
    const { answered, lifecycle } = this.#services;
    const { statusCode: status } = raw;
    const text = body && JSON.stringify(body);
    const bytes = text === undefined ? 0 : Buffer.byteLength(text);
    if (text !== undefined) {
      this.header('content-type', 'application/json; charset=utf-8');
      this.header('content-length', String(bytes));
    }
    if (lifecycle.isDraining) this.header('connection', 'close');
    raw.writeHead(status, this.#headers).end(text);
    const ms = performance.now() - this.#startedAt;
    const request = this.#request as unknown as FastifyRequest;
    answered(request, this.#request.routeOptions.url, { status, ms, bytes });
    return this;
  }
}

/**
 * Collects the routes with `config.direct` that are registered from now on. The returned function serves a request, or returns
 * false if Fastify must serve it.
 */
export function directRoutes(
  app: FastifyInstance,
  services: HttpServices,
): (request: IncomingMessage, response: ServerResponse) => boolean {
  const { config, hostFault, lifecycle, log, nextId } = services;
  const routes = new Map<string | undefined, Route>();
  app.addHook('onRoute', (options) => {
    if (options.config?.direct) routes.set(options.url, routeOf(options));
  });

  const isPlain = ({ headers }: IncomingMessage): boolean => {
    const length = Number(headers['content-length']);
    return (
      headers['content-type'] === 'application/json' &&
      headers['content-encoding'] === undefined &&
      length > 0 &&
      length <= config.maxBodyBytes &&
      (headers['x-forwarded-for'] === undefined || config.trustProxy !== '')
    );
  };

  return (raw, response) => {
    const route = raw.method === 'POST' ? routes.get(raw.url) : undefined;
    if (route === undefined || !isPlain(raw) || lifecycle.isAnnounced || hostFault(raw))
      return false;
    const { options, validate, handler } = route;
    const directRequest = new DirectRequest(raw, nextId(), options, log);
    const directReply = new DirectReply(response, directRequest, services);
    const request = directRequest as unknown as FastifyRequest;
    const reply = directReply as unknown as FastifyReply;
    const fail = (fault: unknown) => handleError(fault, request, reply);

    collect(raw, raw.headers['content-length'], config.maxBodyBytes, (error, bytes) => {
      try {
        if (bytes === undefined) throw error;
        request.body = parseBody(bytes);
      } catch (fault) {
        // As Fastify does, because the rest of the body may follow.
        reply.header('connection', 'close');
        return fail(fault);
      }
      const checked = validate(request.body) as true | { error?: Error };
      if (checked !== true && checked.error) fail(checked.error);
      else handler(request, reply).catch(fail);
    });
    return true;
  };
}

type Route = ReturnType<typeof routeOf>;

const routeOf = (options: RouteOptions) => ({
  options,
  validate: compileValidator({ schema: options.schema?.body } as never),
  handler: options.handler as unknown as Handler,
});
