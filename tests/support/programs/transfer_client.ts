/**
 * Transfers as a program: `transfer_client.ts PORT COUNT`. Understands on standard input, and answers each with one line:
 * `gaps` (milliseconds since the last `reset` for which nothing came, by transfer), `reset`, `finish` (how they ended), and
 * `ends` (the same, of those that have ended by themselves). Ends with its standard input.
 */
import { createInterface } from "node:readline";
import process from "node:process";
import { STEADY, Transfer, type TransferEnd } from "../transfers.ts";

const [port, count] = process.argv.slice(2).map(Number);
const transfers = await Promise.all(
  Array.from({ length: count! }, (_, number) => Transfer.start(port!, number, STEADY)),
);
const ends: TransferEnd[] = [];
for (const { ended } of transfers) void ended.then((end) => ends.push(end));
console.log(JSON.stringify({ started: transfers.length }));
for await (const command of createInterface({ input: process.stdin })) {
  if (command === "reset") { for (const transfer of transfers) transfer.resetGap(); }
  const answers: Record<string, () => unknown> = {
    reset: () => ({ received: transfers.map(({ received }) => received) }),
    gaps: () => ({
      gaps: transfers.map(({ gapMs }) => gapMs),
      received: transfers.map(({ received }) => received),
    }),
    ends: () => ({ ends }),
    finish: async () => ({ ends: await Promise.all(transfers.map((transfer) => transfer.finish())) }),
  };
  console.log(JSON.stringify(await answers[command]?.() ?? null));
}
process.exit(0);
