// Compares the documents with the code in both directions. npm run docs writes the generated tables.
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as limits from '@couplet/protocol';
import { CLOSE_CODES, CLOSE_MEANINGS, REST_ERRORS, SIGNALING_ERRORS } from '@couplet/protocol';
import * as schemas from '@couplet/protocol/schema';
import * as server from '@couplet/server';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { unforgiven, waitAfter } from '../packages/server/src/limits/penalties.js';
import { ACCEPT_GUESSES } from '../packages/server/src/pairing/guesses.js';
import { parseConfig, SETTINGS } from '../packages/server/src/settings/config.js';
import { parseDotEnv } from '../packages/server/src/settings/environment.js';
import { NETWORKS } from '../packages/server/test/nat/networks.js';
import { allMetrics } from '../scripts/all-metrics.js';
import { anchorOf } from '../scripts/docs-site/pages.js';
import { mostTries, oddsTable } from '../scripts/odds.js';
import * as tables from '../scripts/tables.js';
import { blocks, quoted, ROOT, read, repositoryFiles, section, tableRows } from './support.js';

const protocol = read('docs/protocol.md');
const operations = read('docs/operations.md');
const requests = schemas.pairingRequests(limits.JOIN_CODE_DIGITS);

const metrics = (await allMetrics(server)).descriptions;
const alerts = parse(read('deploy/prometheus/alerts.yml')).groups.flatMap(
  ({ rules }: { rules: Parameters<typeof tables.alerts>[0] }) => rules,
);
const tries = mostTries(
  ACCEPT_GUESSES,
  { waitAfter, unforgiven },
  SETTINGS.get('MAX_CREATES_PER_HOUR')?.default as number,
);

test.each([
  ['docs/protocol.md', 'close-codes', tables.closeCodes(CLOSE_CODES, CLOSE_MEANINGS)],
  ['docs/protocol.md', 'rest-errors', tables.restErrors(REST_ERRORS)],
  ['docs/protocol.md', 'signaling-errors', tables.signalingErrors(SIGNALING_ERRORS)],
  ['docs/operations.md', 'config', tables.config(SETTINGS as Parameters<typeof tables.config>[0])],
  ['docs/operations.md', 'metrics', tables.metrics(metrics)],
  ['docs/operations.md', 'alerts', tables.alerts(alerts)],
  ['SECURITY.md', 'odds', oddsTable(tries)],
])('%s: the table %s is what npm run docs generates', (path, name, content) => {
  expect(tables.replaceTable(read(path), name, content)).toBe(read(path));
});

test('.env.example is what npm run docs generates; it sets nothing, and without its # characters the defaults', () => {
  const example = read('.env.example');
  expect(tables.envExample(example, SETTINGS as Parameters<typeof tables.config>[0])).toBe(example);
  const [ofServer = ''] = example.split(/^## /m, 1);
  expect(parseDotEnv(Buffer.from(ofServer))).toEqual({});
  const env = parseDotEnv(Buffer.from(ofServer.replace(/^#(?=[A-Z])/gm, '')));
  expect(Object.keys(env)).toEqual([...SETTINGS.keys()]);
  expect(parseConfig(env)).toEqual(parseConfig({}));
});

describe('docs/protocol.md', () => {
  test('gives every error code that it mentions the status of the table', () => {
    const mentions = Array.from(protocol.matchAll(/\b([45]\d\d) `(\w+)`/g));
    expect(mentions.length).toBeGreaterThan(20);
    for (const [, status, code] of mentions) {
      expect({ code, status: REST_ERRORS[code as keyof typeof REST_ERRORS]?.status }).toEqual({
        code,
        status: Number(status),
      });
    }
  });

  test.each([
    ['### Client to server', schemas.CLIENT_MESSAGES],
    ['### Server to client', schemas.SERVER_MESSAGES],
  ])(
    '%s: lists every message type, and its fields in the order of the schema',
    (heading, messages) => {
      const documented = tableRows(section(protocol, heading)).map(([type = '', fields = '']) => [
        quoted(type)[0],
        quoted(fields)
          .map((field) => field.replace('?', ''))
          .filter((field) => field !== 'null'),
      ]);
      expect(documented).toEqual(
        Object.entries(messages).map(([type, { properties }]) => [
          type,
          Object.keys(properties).filter((field) => field !== 'type'),
        ]),
      );
    },
  );

  test.each([
    ['### `POST /api/rooms`', requests.create],
    ['### `POST /api/rooms/accept`', requests.accept],
    ['### `POST /api/rooms/check`', requests.check],
    ['### `POST /api/rooms/cancel`', requests.cancel],
    ['### `POST /api/user/purge`', schemas.PurgeRequest],
    ['### `POST /api/ice-servers`', schemas.IceServersRequest],
  ])('%s: lists the fields in the order in which they are checked', (heading, { properties }) => {
    const documented = tableRows(section(protocol, heading)).map(([name = '']) => quoted(name)[0]);
    expect(documented).toEqual(Object.keys(properties));
  });

  test('lists every limit of the protocol, and the limits of bodies, with its value', () => {
    const documented = new Map(
      tableRows(section(protocol, '## 2. Limits')).map(([, value, name = '']) => [
        String(quoted(name)[0]),
        Number(value),
      ]),
    );
    const expected = Object.entries(limits).filter(([, value]) => typeof value === 'number');
    expect(Object.fromEntries(documented)).toEqual({
      ...Object.fromEntries(expected),
      MAX_BODY_BYTES: SETTINGS.get('MAX_BODY_BYTES')?.default,
    });
    expect(quoted(section(protocol, '## 2. Limits'))).toContain(
      `^[0-9]{${limits.JOIN_CODE_DIGITS}}$`,
    );
  });

  test('has the state table of room.ts', () => {
    const source = read('packages/server/src/signaling/room.ts').split('\n');
    const rows = source
      .filter((line) => /^\/\/ {3}\d.*│/.test(line))
      .map((line) =>
        line
          .replace('//', '')
          .split('│')
          .map((cell) => cell.trim()),
      );
    const documented = tableRows(section(protocol, '## 5. Rooms'));
    expect(documented.map((row) => row.slice(0, 3))).toEqual(rows.map((row) => row.slice(0, 3)));
    const types = Object.keys(schemas.SERVER_MESSAGES);
    const told = (text = '') => text.match(/\w+/g)?.filter((word) => types.includes(word));
    expect(documented.map((row) => told(row[3]))).toEqual(rows.map((row) => told(row[3])));
  });
});

describe('docs/operations.md', () => {
  test('mentions no setting that does not exist', () => {
    const names = [...protocol.matchAll(/`([A-Z]+(?:_[A-Z]+)+|PORT|HOST)\b/g)]
      .concat([...operations.matchAll(/`([A-Z]+(?:_[A-Z]+)+|PORT|HOST)\b/g)])
      .map(([, name]) => String(name))
      .filter((name) => !(name in limits) && !/^MAX_(PURGE_)?BODY_BYTES$/.test(name));
    expect([...new Set(names)].filter((name) => !SETTINGS.has(name))).toEqual([]);
  });

  test('lists every line that the server logs, under its level', () => {
    const logged = readdirSync(`${ROOT}packages/server/src`, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .flatMap((path) => [...read(`packages/server/src/${path}`).matchAll(LOG_CALL)])
      .flatMap(([, level, args = '']) =>
        Array.from(args.matchAll(/'([^']*)'/g), ([, text]) => `${level}: ${text}`),
      )
      .filter((line) => !line.endsWith(': /'));
    const logs = section(operations, '## Logs').replaceAll('\n  ', ' ');
    const documented = Array.from(logs.matchAll(/^- (\w+): (.+)$/gm)).flatMap(
      ([, level, messages = '']) => quoted(messages).map((message) => `${level}: ${message}`),
    );
    // Fastify logs this line, with the text of main.ts.
    const all = [...new Set([...logged, 'info: listening on …'])];
    expect(documented.sort()).toEqual(all.sort());
  });
});

/** A log call: level and arguments. */
const LOG_CALL = /\b(?:log|appLog|#log)\.(fatal|error|warn|info|debug)\(([^;]*?)\);/g;

describe('all documents', () => {
  const papers = repositoryFiles().filter((path) => path.endsWith('.md'));

  /** The anchors of a document. GitHub numbers repeated headings. */
  const anchors = (paper: string) => {
    const seen = new Map<string, number>();
    return Array.from(withoutBlocks(paper).matchAll(/^#+ (.+)$/gm), ([, heading = '']) => {
      const anchor = anchorOf(heading);
      const count = seen.get(anchor) ?? 0;
      seen.set(anchor, count + 1);
      return count === 0 ? anchor : `${anchor}-${count}`;
    });
  };

  test.each(papers)('%s: every link has a target', (path) => {
    for (const [, ...links] of withoutBlocks(read(path)).matchAll(LINK)) {
      const link = String(links.find(Boolean)).replace(REPOSITORY, '/');
      if (/^[a-z]+:/.test(link)) continue;
      const [file = '', anchor] = link.split('#');
      const isOfRoot = file.startsWith('/');
      const target = file === '' ? path : join(isOfRoot ? '' : dirname(path), file);
      expect(existsSync(ROOT + target), link).toBe(true);
      if (anchor && target.endsWith('.md')) expect(anchors(read(target)), link).toContain(anchor);
    }
  });

  test('README.md has fewer than 120 lines, and its first block starts the server', () => {
    const readme = read('README.md');
    expect(readme.split('\n').length).toBeLessThan(120);
    expect(blocks(readme, 'sh')[0]).toContain('npm start');
  });

  test('ARCHITECTURE.md gives the reason for every dependency', () => {
    const decisions = section(read('ARCHITECTURE.md'), '## Dependencies');
    const named = new Set(tableRows(decisions).flatMap(([names = '']) => quoted(names)));
    const manifests = repositoryFiles().filter(
      (path) => /(^|\/)package\.json$/.test(path) && !path.startsWith('examples/'),
    );
    const declared = manifests.flatMap((path) => {
      const { dependencies = {}, devDependencies = {} } = JSON.parse(read(path));
      return Object.keys({ ...dependencies, ...devDependencies });
    });
    const others = declared.filter((name) => !name.startsWith('@couplet/'));
    expect([...named].sort()).toEqual([...new Set(others)].sort());
  });
});

/** Links of Markdown, and of HTML for pictures. */
const LINK = /\]\(([^)\s]+)\)|(?:href|src|srcset)="([^"]+)"/g;
/** READMEs of packages link to the repository in full, because registries show them. */
const REPOSITORY = 'https://github.com/couplet/couplet/blob/main/';

const withoutBlocks = (paper: string) => paper.replace(/^```[\s\S]*?^```$/gm, '');

test('docs/turn.md lists the networks and the path in each', () => {
  const rows = tableRows(section(read('docs/turn.md'), '## Paths by network'));
  expect(rows.map(([network, path]) => [network, path])).toEqual(
    NETWORKS.map(({ network, path }) => [network, `\`${path}\``]),
  );
});

test('docs/cluster.md: a node starts with the settings that it gives for a host', () => {
  const cluster = read('docs/cluster.md');
  const block = cluster.slice(cluster.indexOf('On several hosts')).match(/```sh\n(.*?)```/s)?.[1];
  const env = parseDotEnv(Buffer.from(block ?? ''));
  const { REDIS_URL: redisUrl, ADMIN_TOKEN: adminToken } = env;
  expect(parseConfig(env)).toMatchObject({ port: 8080, redisUrl, adminToken });
});

/** Words that readers stumble on; in pieces, so that this file does not contain them. */
const WORDS = 'an|ew who|ever com|pany be|fall of¬yo|urs without¬a¬w|ord acquaint|ance'
  .split(' ')
  .map((word) => word.replace('|', '').replaceAll('¬', ' '));

test('no text file has a word that readers stumble on', () => {
  const pattern = new RegExp(`^.*\\b(${WORDS.join('|')})\\b.*$`, 'gim');
  // Not written here: third-party names, license texts, and figures that programs draw.
  const notOurs = /^package-lock\.json$|(^|\/)LICENSE$|^docs\/performance\/.*\.(svg|json)$/;
  // Some are deleted but not committed, and some are binary.
  const ours = repositoryFiles().filter((path) => !notOurs.test(path) && existsSync(ROOT + path));
  const texts = ours.map((path) => [path, read(path)] as const);
  const found = texts
    .filter(([, text]) => !text.includes('\0'))
    .flatMap(([path, text]) =>
      (text.match(pattern) ?? []).map((line) => `${path}: ${line.trim()}`),
    );
  expect(found).toEqual([]);
});
