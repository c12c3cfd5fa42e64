// Sizes, speeds and times in words.

const UNITS = ['bytes', 'kB', 'MB', 'GB'] as const;

/** `5.2 MB`: decimal, as file managers count. */
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

/** `4:59`. Counts down to 0:00 and no further. */
export function clock(milliseconds: number): string {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** `12 ms`, for the fast ones `0.4 ms`, and for those that a browser rounds away `under 1 ms`. */
export function duration(milliseconds: number): string {
  if (milliseconds === 0) return 'under 1 ms';
  if (milliseconds >= 10_000) return `${(milliseconds / 1000).toFixed(0)} s`;
  return `${milliseconds < 10 ? Number(milliseconds.toFixed(1)) : milliseconds.toFixed(0)} ms`;
}

/** `40 seconds`, `12 minutes`, `3 hours`: at least as long, and always more than one. */
export function span(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} seconds`;
  if (seconds < 5400) return `${Math.ceil(seconds / 60)} minutes`;
  return `${Math.ceil(seconds / 3600)} hours`;
}
