// Converts TypeBox schemas to fast-check arbitraries: valid values, values with exactly one invalid field, and garbage.
import { MAX_JSON_DEPTH } from '@couplet/protocol';
import fc from 'fast-check';
import type { TObject, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';

/** The schema properties that the generator reads. */
interface Shape {
  type?: string;
  const?: string | number | boolean;
  anyOf?: TSchema[];
  properties?: Record<string, TSchema>;
  required?: string[];
  items?: TSchema;
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  minItems?: number;
}

/** Longest array that is generated; much longer ones have their own tests. */
const MAX_ITEMS = 8;

/** Strings of every kind: ASCII, any Unicode, and strings that have caused faults in queries, paths and prototypes. */
const text = (maxLength: number): fc.Arbitrary<string> =>
  fc.oneof(
    fc.string({ maxLength }),
    fc.string({ unit: 'binary', maxLength }),
    fc.constantFrom('__proto__', 'constructor', "' OR 1=1; --", '\u0000', '\ufeff', '%00', '../..'),
  );

/** Values that fit the schema; rules that the schema's shape does not express are applied by filtering. */
export function valuesOf(schema: TSchema): fc.Arbitrary<unknown> {
  const check = Compile(schema);
  return valuesOfShape(schema as Shape).filter((value) => check.Check(value));
}

function valuesOfShape(shape: Shape): fc.Arbitrary<unknown> {
  if (shape.const !== undefined) return fc.constant(shape.const);
  if (shape.anyOf) return fc.oneof(...shape.anyOf.map(valuesOf));
  switch (shape.type) {
    case 'object':
      return objectsOf(shape);
    case 'array':
      return fc.array(valuesOf(shape.items as TSchema), {
        minLength: shape.minItems ?? 0,
        maxLength: MAX_ITEMS,
      });
    case 'string':
      return shape.pattern === undefined
        ? text(shape.maxLength ?? 200).filter((value) => value.length >= (shape.minLength ?? 0))
        : fc.stringMatching(new RegExp(shape.pattern));
    case 'integer':
      return fc.integer({ min: shape.minimum ?? -(2 ** 53), max: shape.maximum ?? 2 ** 53 });
    case 'number':
      return fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }));
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    default:
      throw new TypeError(`no generator for a schema of type ${shape.type}`);
  }
}

function objectsOf({ properties = {}, required = [] }: Shape): fc.Arbitrary<object> {
  return fc.record(
    Object.fromEntries(Object.entries(properties).map(([name, part]) => [name, valuesOf(part)])),
    { requiredKeys: required },
  );
}

/** Values of every type, most of them invalid anywhere: too long, too deep, not a whole number, half a character. */
export const anything: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(null, '', 0, -1, 1.5, 1e308, true, false, '\ud800', 'a\udc00', [], {}),
  fc.constantFrom<unknown>('x'.repeat(257), '🙂'.repeat(65), '€'.repeat(86), '1'.repeat(5000)),
  fc.constantFrom<unknown>(Array(1001).fill('a'), nested(20)),
  text(300),
  fc.jsonValue(),
);

function nested(depth: number): unknown {
  let value: unknown = 'deep';
  for (let n = 0; n < depth; n++) value = n % 2 === 0 ? [value] : { value };
  return value;
}

/** A value with exactly one invalid field, and the name of that field. */
export interface NearlyValid {
  value: Record<string, unknown>;
  field: string;
  /** Whether the field is missing, or has a value that its schema refuses. */
  how: 'missing' | 'wrong';
}

/** Values that are valid except for one field. `fields` lists the candidates; by default all. */
export function nearlyValid(
  schema: TObject,
  fields = Object.keys(schema.properties),
): fc.Arbitrary<NearlyValid> {
  const { properties, required = [] } = schema as unknown as Required<Shape>;
  const faults = fields.flatMap((field) => {
    const check = Compile(properties[field] as TSchema);
    const wrong = fc.record({
      field: fc.constant(field),
      how: fc.constant<'wrong'>('wrong'),
      other: anything.filter((value) => !check.Check(value)),
    });
    const missing = fc.constant({ field, how: 'missing' as const, other: undefined });
    return required.includes(field) ? [wrong, missing] : [wrong];
  });
  return fc
    .tuple(valuesOf(schema) as fc.Arbitrary<Record<string, unknown>>, fc.oneof(...faults))
    .map(([valid, { field, how, other }]) => {
      const value = { ...valid, [field]: other };
      if (how === 'missing') delete value[field];
      return { value, field, how };
    });
}

/** Fields that no schema has, added to a value: they must change nothing. */
export const extraFields: fc.Arbitrary<Record<string, unknown>> = fc.dictionary(
  fc.string({ minLength: 1, maxLength: 20 }).map((name) => `x${name}`),
  fc.jsonValue(),
  { maxKeys: 4 },
);

/** Text that is not JSON. */
export const noJson: fc.Arbitrary<string> = fc
  .oneof(
    text(200),
    fc.json().map((json) => `${json},`),
    fc.json().map((json) => json.slice(0, -1)),
  )
  .filter((given) => {
    try {
      JSON.parse(given);
      return false;
    } catch {
      return given !== '';
    }
  });

/** Nested brackets: from about 5000 levels on, recursive code runs out of stack. */
export const deepJson: fc.Arbitrary<string> = fc
  .constantFrom(MAX_JSON_DEPTH, 5000, 20_000)
  .map((levels) => '['.repeat(levels) + ']'.repeat(levels));

/** Numbers that `JSON.stringify(JSON.parse(…))` writes in another spelling or changes. */
export const oddNumber: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    '9007199254740993',
    '-0',
    '1.0',
    '1E2',
    '1e400',
    '-1e-400',
    '0.10000000000000001',
  ),
  fc.bigInt().map(String),
);

/** JSON that is not an object. `null`, which REST takes as an absent body, is not among them. */
export const noObject: fc.Arbitrary<string> = fc
  .jsonValue()
  .filter((value) => typeof value !== 'object' || Array.isArray(value))
  .map((value) => JSON.stringify(value));
