// Makes the schema of a setting from its variable. `default` applies when the variable is unset or empty.
import { Type } from '@couplet/protocol/typebox';

interface About {
  /** Row of the table in docs/operations.md. */
  description: string;
  /** Set if no fault may quote the value. */
  secret?: true;
  /** Set if the server itself does not read the setting. */
  usedBy?: 'coturn';
}

/** A whole number within bounds. */
export const integer = (
  env: string,
  [minimum, maximum]: readonly [number, number],
  about: About & { default: number },
) => Type.Integer({ env, minimum, maximum, ...about });

/** On or off; off by default. */
export const flag = (env: string, about: About & { default?: boolean }) =>
  Type.Boolean({ env, default: false, ...about });

/** Text; empty by default. `form`: a regular expression for the whole of a text that is not empty. */
export const text = (
  env: string,
  { form, ...about }: About & { default?: string; form?: string; maxLength?: number },
) => Type.String({ env, default: '', ...(form && { pattern: `^(${form})?$` }), ...about });

/** One of a few texts. */
export const choice = <const Options extends readonly string[]>(
  env: string,
  options: Options,
  about: About & { default: Options[number] },
) => Type.Enum(options, { env, ...about });

/** Comma-separated texts, each of which has the whole form; none by default. */
export const texts = (
  env: string,
  { form, ...about }: About & { form: string; maxItems?: number },
) =>
  Type.Array(Type.String({ pattern: `^(${form})$` }), { env, default: [], maxItems: 16, ...about });
