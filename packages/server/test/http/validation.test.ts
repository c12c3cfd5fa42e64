// Validation of requests: missing fields first, then faulty ones, in the schema's order.
import { DeviceId, JoinCode } from '@couplet/protocol/schema';
import type { FastifyRouteSchemaDef } from 'fastify/types/schema.js';
import Type, { type TSchema } from 'typebox';
import { expect, test } from 'vitest';
import { RequestFault } from '../../src/http/errors.js';
import { compileValidator, isMissing } from '../../src/http/validation.js';

const validate = (schema: TSchema, value: unknown) =>
  compileValidator({ schema } as FastifyRouteSchemaDef<TSchema>)(value) as {
    value?: unknown;
    error?: RequestFault;
  };
const schema = Type.Object({ joinid: JoinCode, client1: Type.Optional(DeviceId) });

test.each([undefined, null, ''])('%j counts as missing', (value) => {
  expect(isMissing(value)).toBe(true);
});

test.each([0, false, ' ', [], {}, Number.NaN])('%j does not count as missing', (value) => {
  expect(isMissing(value)).toBe(false);
});

test('a valid request is passed on unchanged, including unknown fields', () => {
  const value = { joinid: '123456', extra: 1 };
  expect(validate(schema, value).value).toBe(value);
});

test('a missing required field is named, and a missing optional field is accepted', () => {
  for (const value of [undefined, null, {}, { joinid: '', client1: 5 }]) {
    const { error } = validate(schema, value);
    expect(error).toBeInstanceOf(RequestFault);
    expect(error).toMatchObject({ code: 'missing_field', details: { field: 'joinid' } });
  }
});

test('an invalid field has its own code', () => {
  expect(validate(schema, { joinid: 1 }).error?.code).toBe('invalid_joinid');
  expect(validate(schema, { joinid: '123456', client1: 5 }).error?.code).toBe('invalid_client1');
});

test.each([
  ['an array', []],
  ['a string', 'x'],
  ['a number', 5],
  ['false', false],
])('%s is not an object: invalid_json', (_name, value) => {
  expect(validate(schema, value).error?.code).toBe('invalid_json');
});

test('a schema whose field has no error code throws a TypeError', () => {
  const unknown = Type.Object({ colour: Type.String() });
  expect(() => validate(unknown, { colour: 1 })).toThrow(/invalid_colour is missing/);
});

test('a schema that requires more than its fields throws a TypeError', () => {
  const more = Type.Refine(
    Type.Object({ joinid: JoinCode }),
    () => false,
    () => 'never',
  );
  expect(() => validate(more, { joinid: '123456' })).toThrow(/every field does/);
});

test('a schema without required fields accepts an empty object', () => {
  const optional = Type.Object({ client1: Type.Optional(DeviceId) });
  expect(validate(optional, {}).error).toBeUndefined();
  expect(validate(optional, undefined)).toEqual({ value: {} });
});
