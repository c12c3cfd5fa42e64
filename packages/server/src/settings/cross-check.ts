// Describes conditions over the values of settings that each are valid by themselves.

/** One condition. `parseConfig` skips it while any setting that it reads is at fault already. */
export interface CrossCheck {
  /** Keys of the settings that `fault` reads. */
  readonly reads: readonly string[];
  /** The fault, as one line that begins with the variable's name; undefined where there is none. */
  readonly fault: (settings: never) => string | undefined;
}

/** Makes conditions over `Settings`; the compiler holds each of them to the settings that it names. */
export const crossCheckOf =
  <Settings>() =>
  <Key extends keyof Settings & string>(
    reads: readonly Key[],
    fault: (settings: Pick<Settings, Key>) => string | undefined,
  ): CrossCheck => ({ reads, fault });
