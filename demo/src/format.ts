// Formats sizes, speeds and times.

const UNITS = ['bytes', 'kB', 'MB', 'GB'] as const;

/** Formats a size as `5.2 MB`, with decimal units. */
export function bytes(count: number): string {
  let unit = 0;
  let value = count;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1;
  return count === 1 ? '1 byte' : `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** Formats a countdown as `4:59`. Never below `0:00`. */
export function clock(milliseconds: number): string {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** Formats a duration as `12 ms`, a short one as `0.4 ms`, and one that the browser rounded to zero as `under 1 ms`. */
export function duration(milliseconds: number): string {
  if (milliseconds === 0) return 'under 1 ms';
  if (milliseconds >= 10_000) return `${(milliseconds / 1000).toFixed(0)} s`;
  return `${milliseconds < 10 ? Number(milliseconds.toFixed(1)) : milliseconds.toFixed(0)} ms`;
}

/** Formats a wait as `40 seconds`, `12 minutes` or `3 hours`, rounded up. The number is always above one. */
export function span(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} seconds`;
  if (seconds < 5400) return `${Math.ceil(seconds / 60)} minutes`;
  return `${Math.ceil(seconds / 3600)} hours`;
}
