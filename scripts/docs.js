// npm run docs: writes what the papers say of the code: docs/asyncapi.yaml, .env.example, the tables of codes and settings.
import { readFileSync, writeFileSync } from 'node:fs';
import { prepare, ROOT } from './prepare.js';

prepare();
const { asyncApi } = await import('./asyncapi.js');
const tables = await import('./tables.js');
const wire = await import(`${ROOT}packages/protocol/dist/index.js`);
const schemas = await import(`${ROOT}packages/protocol/dist/schema.js`);
const { SETTINGS } = await import(`${ROOT}packages/server/dist/platform/config.js`);
const { version } = JSON.parse(readFileSync(`${ROOT}packages/protocol/package.json`, 'utf8'));

writeFileSync(
  `${ROOT}docs/asyncapi.yaml`,
  asyncApi(schemas.CLIENT_MESSAGES, schemas.SERVER_MESSAGES, version),
);

write('docs/protocol.md', {
  'close-codes': tables.closeCodes(wire.CLOSE_CODES),
  'rest-errors': tables.restErrors(wire.REST_ERRORS),
  'signaling-errors': tables.signalingErrors(wire.SIGNALING_ERRORS),
});
write('docs/operations.md', { config: tables.config(SETTINGS) });
await import('./env-example.js');

function write(path, contents) {
  const before = readFileSync(ROOT + path, 'utf8');
  const after = Object.entries(contents).reduce(
    (paper, [name, content]) => tables.replaceTable(paper, name, content),
    before,
  );
  writeFileSync(ROOT + path, after);
}
