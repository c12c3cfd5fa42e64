// Defines checks across several settings, each of which is valid by itself.

/** One check. `parseConfig` skips it if a setting that it reads already has a fault. */
export interface CrossCheck {
  /** Keys of the settings that `fault` reads. */
  readonly reads: readonly string[];
  /** Returns the fault, as one line that begins with the variable's name, or undefined. */
  readonly fault: (settings: never) => string | undefined;
}

/** Makes checks over `Settings`. The types allow a check to read only the settings that it names. */
export const crossCheckOf =
  <Settings>() =>
  <Key extends keyof Settings & string>(
    reads: readonly Key[],
    fault: (settings: Pick<Settings, Key>) => string | undefined,
  ): CrossCheck => ({ reads, fault });
