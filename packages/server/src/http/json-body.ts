// Parses request bodies: strict UTF-8 and JSON of bounded depth and size. The body may be absent.
import type { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
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
    const { bodyLimit, config } = request.routeOptions;
    // Not the headers of `payload`, which a preParsing hook of the application can replace by any stream.
    const { headers } = request.raw;
    collect(payload, headers['content-length'], bodyLimit, (error, body) => {
      if (body === undefined) return done(error);
      // A path without a route is answered 404, regardless of the body.
      if (body.length === 0 || request.is404) return done(null, undefined);
      if (!/^(identity)?$/i.test(headers['content-encoding'] ?? '')) {
        return done(COMPRESSED);
      }
      let parsed: unknown;
      try {
        parsed = parseBody(body, config.maxJsonValues);
      } catch (fault) {
        return done(fault as RequestFault);
      }
      done(null, parsed);
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

/** @throws RequestFault */
export function parseBody(body: Uint8Array, maxValues?: number): unknown {
  try {
    return parseModestJson(utf8.decode(body), maxValues);
  } catch {
    // The errors of the decoder and the parser are dropped because both can quote the body.
    throw new RequestFault('invalid_json', { details: 'the body must be JSON in UTF-8' });
  }
}

/** The header shows that the coding is not supported, rather than the type (RFC 9110 §15.5.16). */
const COMPRESSED = new RequestFault(
  'unsupported_media_type',
  { details: 'the body must not have a Content-Encoding' },
  { 'accept-encoding': 'identity' },
);

/** Initial size of the buffer for a body that does not arrive in one chunk and has no Content-Length, in bytes. */
const FIRST_BYTES = 1024;

/**
 * Reads a body. Several chunks are copied into one buffer: as separate buffers, 65,000 chunks of one byte would take two
 * hundred times the memory.
 */
export function collect(
  payload: Readable,
  contentLength: string | undefined,
  bodyLimit: number,
  done: (error: Error | null, body?: Buffer) => void,
): void {
  const length = Number(contentLength ?? FIRST_BYTES);
  if (contentLength !== undefined && length > bodyLimit) {
    done(new RequestFault('payload_too_large'));
    return;
  }
  let body: Buffer = EMPTY;
  let filled = 0;
  let isDone = false;
  const finish = (error: Error | null, whole?: Buffer) => {
    if (isDone) return;
    isDone = true;
    done(error, whole);
  };
  payload.on('data', (chunk: Buffer) => {
    if (isDone) return;
    const needed = filled + chunk.length;
    if (needed > bodyLimit) return finish(new RequestFault('payload_too_large'));
    // Fast path: most bodies are one chunk.
    if (filled === 0 && chunk.length === length) {
      body = chunk;
    } else {
      if (needed > body.length) {
        const larger = Buffer.allocUnsafe(
          Math.min(bodyLimit, Math.max(needed, 2 * body.length, length)),
        );
        body.copy(larger, 0, 0, filled);
        body = larger;
      }
      chunk.copy(body, filled);
    }
    filled = needed;
  });
  payload.on('end', () => finish(null, body.subarray(0, filled)));
  payload.on('error', finish);
}

const EMPTY = Buffer.alloc(0);
