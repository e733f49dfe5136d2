const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** A number of bytes for people: `512 B`, `1.5 MB`; powers of a thousand. */
export function formatBytes(count: number): string {
  let unit = 0;
  let value = count;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}
