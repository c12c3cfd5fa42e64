// Request bodies: strict UTF-8, strict JSON of a modest shape, and an absent body where a proxy stripped it.
import type { FastifyInstance } from 'fastify';
import { COST } from './address-budget.js';
import { RequestFault } from './http-errors.js';
import { parseModestJson } from './json-shape.js';
import { budgetOf } from './paced-http.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Most values in a body of this route, where it needs more than others. */
    maxJsonValues?: number;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Makes application/json, uncompressed, the only content type; an empty body is no body, and has no type. */
export function acceptOnlyJson(app: FastifyInstance, maxBodyBytes: number): void {
  app.addHook('preParsing', (request, _reply, payload, done) => {
    // By its length a body was charged for already; without one it can be any number of tiny chunks.
    const budget = budgetOf(request.raw);
    if (budget !== undefined && request.headers['content-length'] === undefined) {
      payload.on('data', (chunk: Buffer) => {
        budget.charge(COST.chunk + chunk.length * COST.bodyByte);
      });
    }
    done(null, payload);
  });
  app.addHook('onSend', (request, reply, _payload, done) => {
    const length = request.headers['content-length'] ?? request.headers['transfer-encoding'];
    // Kept open, Node would read all that is still to come of a body, to throw it away.
    const isLong = length !== undefined && !(Number(length) <= maxBodyBytes);
    if (isLong && !request.raw.complete) reply.header('connection', 'close');
    done();
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    // A path that leads nowhere is 404, whatever came with it.
    if (body.length === 0 || request.is404) return done(null, undefined);
    if (!/^(identity)?$/i.test(request.headers['content-encoding'] ?? '')) {
      return done(COMPRESSED);
    }
    try {
      const { maxJsonValues } = request.routeOptions.config;
      done(null, parseModestJson(utf8.decode(body as Buffer), maxJsonValues));
    } catch {
      // Neither the decoder's nor the parser's error is passed on: both can quote the body.
      done(new RequestFault('invalid_json', { details: 'the body must be JSON in UTF-8' }));
    }
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

/** RFC 9110 §15.5.16: the header tells a coding that is not supported from a type that is not. */
const COMPRESSED = new RequestFault(
  'unsupported_media_type',
  { details: 'the body must come without Content-Encoding' },
  { 'accept-encoding': 'identity' },
);
