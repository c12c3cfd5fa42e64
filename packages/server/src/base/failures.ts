// Errors that any part of the server may throw, and that a client gets as `unavailable` and `rate_limited`.

/** What the request needs cannot be reached now; the same request may succeed later. */
export class Unavailable extends Error {
  /** Whether the cause is logged elsewhere, once for all requests. */
  readonly isReported: boolean;
  constructor(cause: unknown, isReported = false) {
    super('unavailable', { cause });
    this.name = 'Unavailable';
    this.isReported = isReported;
  }
}

/** The client has had its share; the same request may succeed after so many seconds. */
export class Limited extends Error {
  readonly seconds: number;
  constructor(seconds: number) {
    super('rate_limited');
    this.name = 'Limited';
    this.seconds = seconds;
  }
}
