// Parses request bodies: strict UTF-8 and JSON of bounded depth and size. The body may be absent.
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { RequestFault } from './errors.js';
import { parseModestJson } from './json-shape.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Maximum number of JSON values in a body of this route, if it needs more than the default. */
    maxJsonValues?: number;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Makes uncompressed application/json the only content type. An empty body counts as no body and needs no type. */
export function acceptOnlyJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', (request, payload, done) => {
    collect(request, payload, (error, body) => {
      if (body === undefined) return done(error);
      // A path without a route is answered 404, regardless of the body.
      if (body.length === 0 || request.is404) return done(null, undefined);
      if (!/^(identity)?$/i.test(request.headers['content-encoding'] ?? '')) {
        return done(COMPRESSED);
      }
      try {
        const { maxJsonValues } = request.routeOptions.config;
        done(null, parseModestJson(utf8.decode(body), maxJsonValues));
      } catch {
        // The errors of the decoder and the parser are dropped because both can quote the body.
        done(new RequestFault('invalid_json', { details: 'the body must be JSON in UTF-8' }));
      }
    });
  });
  app.addContentTypeParser('*', (request, payload, done) => {
    if (request.is404) return done(null, undefined);
    const onData = () => {
      payload.off('end', onEnd);
      done(new RequestFault('unsupported_media_type'));
    };
    const onEnd = () => done(null, undefined);
    payload.once('data', onData).once('end', onEnd).once('error', done);
  });
}

/** The header shows that the coding is not supported, rather than the type (RFC 9110 §15.5.16). */
const COMPRESSED = new RequestFault(
  'unsupported_media_type',
  { details: 'the body must not have a Content-Encoding' },
  { 'accept-encoding': 'identity' },
);

/** Initial buffer size for a body of unknown length, in bytes. */
const FIRST_BYTES = 1024;

/**
 * Reads a body into one buffer. As separate buffers, 65,000 chunks of one byte would take two hundred times the memory.
 */
function collect(
  request: FastifyRequest,
  payload: IncomingMessage,
  done: (error: Error | null, body?: Buffer) => void,
): void {
  const { bodyLimit } = request.routeOptions;
  const length = request.headers['content-length'];
  if (Number(length) > bodyLimit) {
    done(new RequestFault('payload_too_large'));
    return;
  }
  let body = Buffer.allocUnsafe(length === undefined ? FIRST_BYTES : Number(length));
  let filled = 0;
  const finish = (error: Error | null, whole?: Buffer) => {
    payload.off('data', onData).off('end', onEnd).off('error', finish);
    done(error, whole);
  };
  const onData = (chunk: Buffer) => {
    const needed = filled + chunk.length;
    if (needed > bodyLimit) return finish(new RequestFault('payload_too_large'));
    if (needed > body.length) {
      const larger = Buffer.allocUnsafe(Math.min(bodyLimit, Math.max(needed, 2 * body.length)));
      body.copy(larger, 0, 0, filled);
      body = larger;
    }
    chunk.copy(body, filled);
    filled = needed;
  };
  const onEnd = () => finish(null, body.subarray(0, filled));
  payload.on('data', onData).on('end', onEnd).on('error', finish);
}
