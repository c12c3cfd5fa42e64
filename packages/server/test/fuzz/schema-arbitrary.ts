// Converts TypeBox schemas to fast-check arbitraries: valid values, values with exactly one invalid field, and garbage. Also judges
// any text by a schema, so that the answer to it can be predicted.
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

const checks = new Map<TSchema, ReturnType<typeof Compile>>();

/** Whether a value fits a schema, which is compiled once. */
export function fits(schema: TSchema, value: unknown): boolean {
  const check = checks.get(schema) ?? Compile(schema);
  checks.set(schema, check);
  return check.Check(value);
}

/** The object that a text is; undefined if a server must not read it as one. */
export function objectIn(text: string): Record<string, unknown> | undefined {
  if (text.includes('['.repeat(MAX_JSON_DEPTH))) return undefined;
  try {
    const value = JSON.parse(text.replace(/^\ufeff/, ''));
    return typeof value === 'object' && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The first field that is missing, or else the first that is refused; undefined if there is none. */
export function faultyField(schema: TObject, value: Record<string, unknown>): string | undefined {
  const { properties, required = [] } = schema as unknown as Required<Shape>;
  const isRefused = ([name, part]: [string, TSchema]) =>
    Object.hasOwn(value, name) && !fits(part, value[name]);
  const missing = required.find((name) => !Object.hasOwn(value, name));
  return missing ?? Object.entries(properties).find(isRefused)?.[0];
}

/** Values that fit the schema; rules that the schema's shape does not express are applied by filtering. */
export const valuesOf = <Schema extends TSchema>(schema: Schema) =>
  shaped(schema as Shape).filter((value) => fits(schema, value)) as fc.Arbitrary<
    Schema extends TObject ? Record<string, unknown> : unknown
  >;

function shaped(shape: Shape): fc.Arbitrary<unknown> {
  if (shape.const !== undefined) return fc.constant(shape.const);
  if (shape.anyOf) return fc.oneof(...shape.anyOf.map(valuesOf));
  switch (shape.type) {
    case 'object': {
      const fields = Object.entries(shape.properties ?? {});
      const values = Object.fromEntries(fields.map(([name, part]) => [name, valuesOf(part)]));
      return fc.record(values, { requiredKeys: shape.required ?? [] });
    }
    case 'array': {
      const minLength = shape.minItems ?? 0;
      return fc.array(valuesOf(shape.items as TSchema), { minLength, maxLength: MAX_ITEMS });
    }
    case 'string':
      if (shape.pattern !== undefined) return fc.stringMatching(new RegExp(shape.pattern));
      return text(shape.maxLength ?? 200);
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

/** Values that are valid except for one field, which is refused by its schema, or missing. */
export const nearlyValid = (schema: TObject) =>
  fc.constantFrom(...Object.entries(schema.properties)).chain(([field, part]) => {
    const wrong = fc.option(
      anything.filter((value) => !fits(part, value)),
      { nil: undefined },
    );
    return fc
      .tuple(valuesOf(schema), wrong)
      .map(([valid, other]) => ({ ...valid, [field]: other }));
  });

/** Fields that no schema has, added to a value: they must change nothing. */
export const extraFields = fc.dictionary(
  fc.string({ minLength: 1, maxLength: 20 }).map((name) => `x${name}`),
  fc.jsonValue(),
  { maxKeys: 4 },
);

/** Text that is mostly not JSON. */
export const noJson = fc
  .oneof(
    text(200),
    fc.json().map((json) => `${json},`),
    fc.json().map((json) => json.slice(0, -1)),
  )
  .filter((given) => given !== '');

/** Nested brackets: from about 5000 levels on, recursive code runs out of stack. */
export const deepJson = fc
  .constantFrom(MAX_JSON_DEPTH, 5000, 20_000)
  .map((levels) => '['.repeat(levels) + ']'.repeat(levels));

/** Numbers that `JSON.stringify(JSON.parse(…))` writes in another spelling or changes. */
export const oddNumber = fc.oneof(
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
