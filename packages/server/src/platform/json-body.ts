// Request bodies: strict UTF-8, strict JSON of a modest shape, and an absent body where a proxy stripped it.
import type { FastifyInstance } from 'fastify';
import { RequestFault } from './http-errors.js';
import { parseModestJson } from './json-shape.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Most values in a body of this route, where it needs more than others. */
    maxJsonValues?: number;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Makes application/json the only content type; an empty body is no body. */
export function acceptOnlyJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    if (body.length === 0) return done(null, undefined);
    try {
      const { maxJsonValues } = request.routeOptions.config;
      done(null, parseModestJson(utf8.decode(body as Buffer), maxJsonValues));
    } catch {
      // Neither the decoder's nor the parser's error is passed on: both can quote the body.
      done(new RequestFault('invalid_json', { details: 'the body must be JSON in UTF-8' }));
    }
  });
}
