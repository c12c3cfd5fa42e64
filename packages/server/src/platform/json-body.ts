// Request bodies: strict UTF-8, strict JSON, and an absent body where a proxy stripped it.
import type { FastifyInstance } from 'fastify';
import { RequestFault } from './http-errors.js';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Makes application/json the only content type; an empty body is no body. */
export function acceptOnlyJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    if (body.length === 0) return done(null, undefined);
    try {
      done(null, JSON.parse(utf8.decode(body as Buffer)));
    } catch {
      // Neither the decoder's nor the parser's error is passed on: both can quote the body.
      done(new RequestFault('invalid_json', { details: 'the body must be JSON in UTF-8' }));
    }
  });
}
