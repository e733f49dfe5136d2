/**
 * `TransferServer` as a program, for machines that are network namespaces. Prints its port, and how its connections look
 * with every line on standard input. Ends with its standard input.
 */
import { createInterface } from "node:readline";
import process from "node:process";
import { TransferServer } from "../transfers.ts";

const server = await TransferServer.start();
console.log(JSON.stringify({ port: server.port }));
for await (const _ of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify({ seen: Object.fromEntries(server.seen) }));
}
server[Symbol.dispose]();
process.exit(0);
