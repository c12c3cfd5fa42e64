// Checks that a switch over a union is exhaustive.

/** Does not compile if a case is missing. Throws if a value outside the union appears at run time. */
export function assertNever(value: never): never {
  throw new TypeError(`unexpected case: ${typeof value}`);
}
