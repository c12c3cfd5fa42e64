// Request bodies whose stream a hook of the application has replaced.
import { Transform } from 'node:stream';
import { createGunzip, gzipSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { buildApp } from '../../src/app.js';
import { parseConfig } from '../../src/settings/config.js';

const BODY = JSON.stringify({ joinid: '123456', client1: 'a', expiresInSeconds: 60 });

test.each([
  ['as it is', {}, BODY, () => new Transform({ transform: (chunk, _, done) => done(null, chunk) })],
  ['decompressed', { 'content-encoding': 'gzip' }, gzipSync(BODY), createGunzip],
])(
  'a body that a preParsing hook passes on %s is parsed',
  async (_name, headers, body, through) => {
    const app = await buildApp(parseConfig({ USE_SQLITE: '1', SQLITE_DB_PATH: ':memory:' }));
    onTestFinished(() => app.close());
    app.addHook('preParsing', (request, _reply, payload, done) => {
      delete request.raw.headers['content-encoding'];
      done(null, payload.pipe(through()));
    });
    const { statusCode } = await app.inject({
      method: 'POST',
      url: '/api/rooms',
      headers: { 'content-type': 'application/json', ...headers },
      payload: body,
    });
    expect(statusCode).toBe(201);
  },
);
