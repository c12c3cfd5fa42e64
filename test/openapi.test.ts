// GET /openapi.json passes a standard linter, and is complete.

import { startServer } from '@couplet/testkit/server';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { buildApp } from '../packages/server/src/app.js';
import { parseConfig } from '../packages/server/src/settings/config.js';
import { read } from './support/papers.js';

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

test('the recommended rules of the linter find nothing', async () => {
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
