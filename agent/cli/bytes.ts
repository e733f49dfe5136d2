/** An amount of data as people read it: `812 B`, `1.2 kB`, `45 MB`. 1 kB is 1000 bytes. */
export function formatBytes(count: number): string {
  let value = count;
  let unit = 0;
  // What would be rounded up to a thousand belongs to the next unit.
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"];
