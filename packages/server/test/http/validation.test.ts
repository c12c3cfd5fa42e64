// Validation of requests: missing fields first, then faulty ones, in the schema's order.
import { JoinCode } from '@couplet/protocol/schema';
import type { FastifyRouteSchemaDef } from 'fastify/types/schema.js';
import Type, { type TSchema } from 'typebox';
import { expect, test } from 'vitest';
import type { RequestFault } from '../../src/http/errors.js';
import { compileValidator } from '../../src/http/validation.js';

const validate = (schema: TSchema, value: unknown) =>
  compileValidator({ schema } as FastifyRouteSchemaDef<TSchema>)(value) as {
    value?: unknown;
    error?: RequestFault;
  };
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

test('parts of a request that pass are left as they are; only an absent body is replaced', () => {
  const optional = Type.Object({ prefer: Type.Optional(Type.String()) });
  expect(validate(optional, { prefer: 'wait=1' })).toBe(true);
  expect(validate(optional, null)).toEqual({ value: {} });
});
