// Formats figures for readers. Pure.

/** Three significant digits, with thousands separators. */
export function shown(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size >= 1000) {
    const step = 10 ** Math.max(0, Math.floor(Math.log10(size)) - 2);
    return (Math.round(value / step) * step).toLocaleString('en-US', { maximumFractionDigits: 0 });
  }
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  return value.toFixed(2);
}

export const percent = (share: number | null | undefined): string =>
  share == null || !Number.isFinite(share) ? '–' : `${Math.round(share * 100)} %`;
