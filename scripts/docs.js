// npm run docs: generates docs/asyncapi.yaml, docs/client-api.md, .env.example, and the tables of codes, settings, metrics,
// alerts and guessing odds.
import { readFileSync, writeFileSync } from 'node:fs';
import { mostTries, oddsTable } from './odds.js';
import { prepare, ROOT, run } from './prepare.js';

await prepare();
const { parse } = await import('yaml');
const { asyncApi } = await import('./asyncapi.js');
const tables = await import('./tables.js');
const wire = await import(`${ROOT}packages/protocol/dist/index.js`);
const schemas = await import(`${ROOT}packages/protocol/dist/schema.js`);
const { SETTINGS } = await import(`${ROOT}packages/server/dist/settings/config.js`);
const { version } = JSON.parse(readFileSync(`${ROOT}packages/protocol/package.json`, 'utf8'));

writeFileSync(
  `${ROOT}docs/asyncapi.yaml`,
  asyncApi(schemas.CLIENT_MESSAGES, schemas.SERVER_MESSAGES, version),
);

write('docs/protocol.md', {
  'close-codes': tables.closeCodes(wire.CLOSE_CODES, wire.CLOSE_MEANINGS),
  'rest-errors': tables.restErrors(wire.REST_ERRORS),
  'signaling-errors': tables.signalingErrors(wire.SIGNALING_ERRORS),
});
const server = await import(`${ROOT}packages/server/dist/index.js`);
const { allMetrics } = await import('./all-metrics.js');
const metrics = await allMetrics(server);
const { groups } = parse(readFileSync(`${ROOT}deploy/prometheus/alerts.yml`, 'utf8'));
write('docs/operations.md', {
  config: tables.config(SETTINGS),
  metrics: tables.metrics(metrics.descriptions),
  alerts: tables.alerts(groups.flatMap(({ rules }) => rules)),
});

const { ACCEPT_GUESSES } = await import(`${ROOT}packages/server/dist/pairing/guesses.js`);
const rules = await import(`${ROOT}packages/server/dist/limits/penalties.js`);
const createsPerHour = SETTINGS.get('MAX_CREATES_PER_HOUR').default;
write('SECURITY.md', { odds: oddsTable(mostTries(ACCEPT_GUESSES, rules, createsPerHour)) });
const example = tables.envExample(readFileSync(`${ROOT}.env.example`, 'utf8'), SETTINGS);
writeFileSync(`${ROOT}.env.example`, example);
run(process.execPath, [`${ROOT}scripts/api-docs/main.js`]);

function write(path, contents) {
  const before = readFileSync(ROOT + path, 'utf8');
  const after = Object.entries(contents).reduce(
    (paper, [name, content]) => tables.replaceTable(paper, name, content),
    before,
  );
  writeFileSync(ROOT + path, after);
}
