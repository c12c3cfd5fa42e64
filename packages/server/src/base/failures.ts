// Defines errors that any part of the server may throw. Clients get them as `unavailable` and `rate_limited`.

/** A dependency of the request cannot be reached. The same request may succeed later. */
export class Unavailable extends Error {
  /** Whether the cause is already logged, once for all requests. */
  readonly isReported: boolean;
  constructor(cause: unknown, isReported = false) {
    super('unavailable', { cause });
    this.name = 'Unavailable';
    this.isReported = isReported;
  }
}

/** The client has reached a limit. The same request may succeed after `seconds`. */
export class Limited extends Error {
  readonly seconds: number;
  /** The limit, if the limits of guesses have refused the request. */
  readonly guessLimit: 'address' | 'ceiling' | 'queue' | undefined;
  constructor(seconds: number, guessLimit?: Limited['guessLimit']) {
    super('rate_limited');
    this.name = 'Limited';
    this.seconds = seconds;
    this.guessLimit = guessLimit;
  }
}
