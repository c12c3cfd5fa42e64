// The generated descriptions of the interfaces: GET /openapi.json, docs/asyncapi.yaml and docs/client-api.md.
import { readFileSync } from 'node:fs';
import specs from '@asyncapi/specs';
import { CLIENT_MESSAGES, SERVER_MESSAGES } from '@couplet/protocol/schema';
import { startServer, temporaryFolder } from '@couplet/testkit/server';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { Ajv } from 'ajv';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { buildApp } from '../packages/server/src/app.js';
import { parseConfig } from '../packages/server/src/settings/config.js';
import { asyncApi } from '../scripts/asyncapi.js';
import { ROOT, read, run } from './support.js';

const server = await startServer();
afterAll(() => server.close());
const source = await (await fetch(`${server.url}/openapi.json`)).text();
const document: {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
} = JSON.parse(source);

interface Operation {
  responses: Record<string, { description: string }>;
}

const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    endpoint: `${method.toUpperCase()} ${path}`,
    ...operation,
  })),
);

test('GET /openapi.json: the recommended rules of the linter find nothing', async () => {
  expect(document.openapi).toBe('3.1.0');
  const config = await createConfig({ extends: ['recommended'] });
  const problems = await lintFromString({ source, config, absoluteRef: 'openapi.json' });
  expect(problems.map(({ ruleId, message }) => `${ruleId}: ${message}`)).toEqual([]);
});

test('every endpoint of docs/protocol.md is served, and the endpoints for apps are in the document', () => {
  const documented = Array.from(read('docs/protocol.md').matchAll(/^### `([A-Z]+ \S+)`$/gm), (m) =>
    String(m[1]),
  );
  for (const endpoint of documented) {
    const [method, url] = endpoint.split(' ') as ['GET', string];
    expect(server.app.hasRoute({ method, url }), endpoint).toBe(true);
  }
  const forPeople = ['GET /', 'GET /openapi.json'];
  expect(operations.map(({ endpoint }) => endpoint).sort()).toEqual(
    documented.filter((endpoint) => !forPeople.includes(endpoint)).sort(),
  );
});

test('routes of an application are described unless they are hidden, also with host constraints', async () => {
  const app = await buildApp(parseConfig({}));
  onTestFinished(() => app.close());
  const answer = async () => ({});
  app.get('/theirs', { constraints: { host: 'a.example' } }, answer);
  app.get('/theirs', { constraints: { host: 'b.example' } }, answer);
  app.get('/hidden', { schema: { hide: true } }, answer);
  const described = await app.inject('/openapi.json');
  expect(described.statusCode).toBe(200);
  expect(Object.keys(described.json().paths)).toContain('/theirs');
  expect(Object.keys(described.json().paths)).not.toContain('/hidden');
});

test('every answer has a description', () => {
  for (const { endpoint, responses } of operations) {
    for (const [status, { description }] of Object.entries(responses)) {
      expect(description, `${endpoint} ${status}`).not.toBe('Default Response');
    }
  }
});

const yaml = read('docs/asyncapi.yaml');
const asyncDocument = parse(yaml);

test('docs/asyncapi.yaml is what npm run docs generates from the schemas', () => {
  const { version } = JSON.parse(read('packages/protocol/package.json'));
  expect(yaml).toBe(asyncApi(CLIENT_MESSAGES, SERVER_MESSAGES, version));
});

test('docs/asyncapi.yaml satisfies the official JSON Schema of AsyncAPI 3.0', () => {
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
  const schema = structuredClone(specs.schemas['3.0.0']) as {
    definitions: Record<string, unknown>;
  };
  // Ajv already has this schema, and does not accept a second copy.
  delete schema.definitions['http://json-schema.org/draft-07/schema'];
  const check = ajv.compile(schema);
  check(asyncDocument);
  expect(check.errors ?? []).toEqual([]);
  expect(check({ ...asyncDocument, channels: { signaling: { address: 1 } } })).toBe(false);
});

test('every reference in docs/asyncapi.yaml has a target', () => {
  const references = Array.from(yaml.matchAll(/\$ref: "#\/(.+)"/g), (match) => match[1] as string);
  expect(references.length).toBeGreaterThan(0);
  for (const reference of references) {
    const target = reference
      .split('/')
      .reduce((node: Record<string, unknown>, key) => node?.[key] as never, asyncDocument);
    expect(target, reference).toBeTypeOf('object');
  }
});

test('every message schema in docs/asyncapi.yaml is JSON Schema, and accepts an example message', () => {
  const ajv = new Ajv({ strict: false });
  const payload = (name: string) => ajv.compile(asyncDocument.components.messages[name].payload);
  for (const name of Object.keys(asyncDocument.components.messages)) payload(name);
  expect(payload('client.join_room')({ type: 'join_room', roomId: 'r', deviceId: null })).toBe(
    true,
  );
  expect(payload('client.join_room')({ type: 'join_room', roomId: '' })).toBe(false);
});

test('docs/client-api.md matches the comments of the client, and every export has one', () => {
  const file = `${temporaryFolder()}/client-api.md`;
  const { stderr } = run(process.execPath, [`${ROOT}scripts/api-docs/main.js`, file]);
  expect(stderr).toBe('');
  expect(read('docs/client-api.md')).toBe(readFileSync(file, 'utf8'));
});
