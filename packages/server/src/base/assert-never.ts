// Exhaustiveness: the end of every switch over a union.

/** Fails to compile when a case is missing, and throws if one slips through at run time. */
export function assertNever(value: never): never {
  throw new TypeError(`unexpected case: ${typeof value}`);
}
