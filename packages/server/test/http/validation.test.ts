// Request parts against their schemas: missing first, then faulty, in the schema's order.
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

test.each([undefined, null, ''])('%j is missing', (value) => {
  expect(isMissing(value)).toBe(true);
});

test.each([0, false, ' ', [], {}, Number.NaN])('%j is not missing', (value) => {
  expect(isMissing(value)).toBe(false);
});

test('what fits is passed on as it came, unknown fields included', () => {
  const value = { joinid: '123456', extra: 1 };
  expect(validate(schema, value).value).toBe(value);
});

test('a required field that is missing is named, an optional one is not', () => {
  for (const value of [undefined, null, {}, { joinid: '', client1: 5 }]) {
    const { error } = validate(schema, value);
    expect(error).toBeInstanceOf(RequestFault);
    expect(error).toMatchObject({ code: 'missing_field', details: { field: 'joinid' } });
  }
});

test('a field that does not fit has its own code', () => {
  expect(validate(schema, { joinid: 1 }).error?.code).toBe('invalid_joinid');
  expect(validate(schema, { joinid: '123456', client1: 5 }).error?.code).toBe('invalid_client1');
});

test.each([
  ['an array', []],
  ['a string', 'x'],
  ['a number', 5],
  ['false', false],
])('%s is no object: invalid_json', (_name, value) => {
  expect(validate(schema, value).error?.code).toBe('invalid_json');
});

test('a schema whose field has no code in the table is a bug, and says so', () => {
  const unknown = Type.Object({ colour: Type.String() });
  expect(() => validate(unknown, { colour: 1 })).toThrow(/invalid_colour is missing/);
});

test('a schema that asks for more than its fields is a bug, and says so', () => {
  const more = Type.Refine(
    Type.Object({ joinid: JoinCode }),
    () => false,
    () => 'never',
  );
  expect(() => validate(more, { joinid: '123456' })).toThrow(/every field does/);
});

test('a schema without required fields takes an empty object', () => {
  const optional = Type.Object({ client1: Type.Optional(DeviceId) });
  expect(validate(optional, {}).error).toBeUndefined();
  expect(validate(optional, undefined)).toEqual({ value: {} });
});
