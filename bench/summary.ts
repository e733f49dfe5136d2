/** What the measurements have in common: the machine that they were made on, and the middle of several runs. */
import { cpus, release, totalmem } from "node:os";
import process from "node:process";

export function describeMachine(): string {
  const core = `${cpus().length} cores (${cpus()[0]?.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB`;
  return `${core}, ${process.platform} ${release()}, Deno ${Deno.version.deno}`;
}

/** Those that came to nothing (NaN) are left out. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.filter((each) => !Number.isNaN(each)).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}
