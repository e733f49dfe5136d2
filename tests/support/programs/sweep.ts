/** Tries TCP ports: `sweep.ts HOST FIRST COUNT`. Says as JSON which are open, which are refused, and what else happened. */
import net from "node:net";
import process from "node:process";

const AT_ONCE = 64;
const [host = "", first, count] = process.argv.slice(2);
const ports = Array.from({ length: Number(count) }, (_, index) => Number(first) + index);
const open: number[] = [];
const others: Record<string, number> = {};
let refused = 0;
let slowest = 0;

function attempt(port: number): Promise<void> {
  return new Promise((resolve) => {
    const begun = performance.now();
    const socket = net.connect({ host, port });
    const done = (note: () => void) => {
      note();
      slowest = Math.max(slowest, performance.now() - begun);
      socket.destroy();
      resolve();
    };
    socket.setTimeout(20_000, () => done(() => others["timeout"] = (others["timeout"] ?? 0) + 1));
    socket.once("connect", () => done(() => open.push(port)));
    socket.once("error", ({ code = "unknown" }: NodeJS.ErrnoException) =>
      done(() => {
        if (code === "ECONNREFUSED") refused++;
        else others[code] = (others[code] ?? 0) + 1;
      }));
  });
}

const next = ports.values();
await Promise.all(Array.from({ length: AT_ONCE }, async () => {
  for (const port of next) await attempt(port);
}));
console.log(JSON.stringify({ open: open.sort((a, b) => a - b), refused, others, slowest: Math.round(slowest) }));
process.exit(0);
