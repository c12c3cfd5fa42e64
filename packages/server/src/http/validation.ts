// Validates requests against their schemas. Reports missing fields first, then faulty ones, both in the schema's order (docs/protocol.md §3).
import {
  MAX_EXPIRY_SECONDS,
  MAX_ID_BYTES,
  MAX_PUSH_TOKEN_BYTES,
  MIN_EXPIRY_SECONDS,
  REST_ERRORS,
  type RestErrorCode,
} from '@couplet/protocol';
import { ErrorResponse } from '@couplet/protocol/schema';
import { Compile, type TObject, type TSchema } from '@couplet/protocol/typebox';
import type { FastifySchemaCompiler } from 'fastify';
import { RequestFault } from './errors.js';

/** An optional string of a request; undefined if it counts as missing. */
export const given = (text: string | null | undefined): string | undefined => text || undefined;

/** Whether a value counts as missing: absent, null or the empty string. */
export function isMissing(value: unknown): boolean {
  return value === undefined || value === null || value === '';
}

/** The bodies of failed requests, for the schemas of routes. */
export const errors = { '4xx': ErrorResponse, '5xx': ErrorResponse };

const TOKEN_DETAILS = `must be a push token of its platform (web: a Push API subscription) of at most ${MAX_PUSH_TOKEN_BYTES} bytes`;

/** Texts of `details`; that of the expiry is fixed by the description of the API. */
const DETAILS: Partial<Record<RestErrorCode, string>> = {
  invalid_expiresInSeconds: `must be ${MIN_EXPIRY_SECONDS}-${MAX_EXPIRY_SECONDS} seconds (1 sec to 24 hours)`,
  invalid_client1_token: TOKEN_DETAILS,
  invalid_client2_token: TOKEN_DETAILS,
  invalid_token: TOKEN_DETAILS,
  invalid_platform: 'must be ios, android or web',
};
const ID_DETAILS = `must be a non-empty, well-formed string of at most ${MAX_ID_BYTES} UTF-8 bytes`;

/**
 * Compilers with which Fastify validates requests and serializes answers. Without them, Fastify loads Ajv and a second
 * schema compiler, together a hundred files. Answers already have exactly the fields of their schemas.
 */
export const schemaController = {
  compilersFactory: {
    // The type is that of Ajv, but Fastify needs only a function that compiles.
    buildValidator: () => compileValidator as never,
    buildSerializer: () => () => JSON.stringify,
  },
};

/**
 * Compiles a schema on first use into a check of every request. Single fields are checked only if the whole request has
 * a fault, to find which one.
 */
export const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema }) => {
  let compiled: CompiledSchema | undefined;
  return (value: unknown) => {
    compiled ??= compileObject(schema as TObject);
    const { whole, fields } = compiled;
    // A request without a body lacks every field. A JSON body that is not an object is another fault.
    const parts = value ?? {};
    // If the headers are replaced, even by themselves, Fastify copies them at each later access.
    if (whole.Check(parts)) return parts === value || { value: parts };
    if (typeof parts !== 'object' || Array.isArray(parts)) {
      return { error: new RequestFault('invalid_json', { details: 'the body must be an object' }) };
    }
    const given = parts as Record<string, unknown>;
    for (const { name, required } of fields) {
      if (required && isMissing(given[name])) {
        return {
          error: new RequestFault('missing_field', { field: name, details: `${name} is required` }),
        };
      }
    }
    for (const { name, part, check } of fields) {
      if (given[name] !== undefined && !check.Check(given[name]))
        return { error: fieldFault(name, part) };
    }
    throw new TypeError('the request does not match its schema, but every field does');
  };
};

type CompiledSchema = ReturnType<typeof compileObject>;

/** Compiles the check of an object, and one for each of its fields, to find a faulty one. */
export function compileObject(schema: TObject) {
  const fields = Object.entries(schema.properties).map(([name, part]) => ({
    name,
    part: part as FieldSchema,
    required: (schema.required as string[] | undefined)?.includes(name) ?? false,
    check: Compile(part),
  }));
  return { whole: Compile(schema), fields };
}

/** Keywords of a field's schema. A string with a pattern is a join code; all other strings are ids. */
interface FieldSchema {
  pattern?: string;
  description?: string;
}

/** The error of a field whose value is not valid. */
export function fieldFault(
  field: string,
  { pattern, description }: FieldSchema = {},
): RequestFault {
  const code = `invalid_${field}`;
  if (!(code in REST_ERRORS)) throw new TypeError(`${code} is missing from the error table`);
  const known = code as RestErrorCode;
  const wanted = (pattern && description) || ID_DETAILS;
  return new RequestFault(known, { field, details: DETAILS[known] ?? wanted });
}
