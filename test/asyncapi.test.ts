// docs/asyncapi.yaml is a valid AsyncAPI 3.0 document, generated from the message schemas.
import specs from '@asyncapi/specs';
import { CLIENT_MESSAGES, SERVER_MESSAGES } from '@couplet/protocol/schema';
import { Ajv } from 'ajv';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { asyncApi } from '../scripts/asyncapi.js';
import { read } from './support/papers.js';

const yaml = read('docs/asyncapi.yaml');
const document = parse(yaml);

test('the document is what npm run docs generates from the schemas', () => {
  const { version } = JSON.parse(read('packages/protocol/package.json'));
  expect(yaml).toBe(asyncApi(CLIENT_MESSAGES, SERVER_MESSAGES, version));
});

test('the document satisfies the official JSON Schema of AsyncAPI 3.0', () => {
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
  const schema = structuredClone(specs.schemas['3.0.0']) as {
    definitions: Record<string, unknown>;
  };
  // Ajv already has this schema, and does not accept a second copy.
  delete schema.definitions['http://json-schema.org/draft-07/schema'];
  const check = ajv.compile(schema);
  check(document);
  expect(check.errors ?? []).toEqual([]);
  expect(check({ ...document, channels: { signaling: { address: 1 } } })).toBe(false);
});

test('every reference in the document has a target', () => {
  const references = Array.from(yaml.matchAll(/\$ref: "#\/(.+)"/g), (match) => match[1] as string);
  expect(references.length).toBeGreaterThan(0);
  for (const reference of references) {
    const target = reference
      .split('/')
      .reduce((node: Record<string, unknown>, key) => node?.[key] as never, document);
    expect(target, reference).toBeTypeOf('object');
  }
});

test('every message schema in the document is JSON Schema, and accepts an example message', () => {
  const ajv = new Ajv({ strict: false });
  const payload = (name: string) => ajv.compile(document.components.messages[name].payload);
  for (const name of Object.keys(document.components.messages)) payload(name);
  expect(payload('client.join_room')({ type: 'join_room', roomId: 'r', deviceId: null })).toBe(
    true,
  );
  expect(payload('client.join_room')({ type: 'join_room', roomId: '' })).toBe(false);
});
