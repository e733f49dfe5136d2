/**
 * Many connections at once to a server that gives back what it gets: `many_client.ts HOST PORT COUNT BYTES`. All are open
 * before the first says anything; each sends content of its own, ends, and checks what comes back to the last byte.
 */
import { createHash, randomBytes } from "node:crypto";
import net, { type Socket } from "node:net";
import process from "node:process";

const [host = "", port, count, bytes] = process.argv.slice(2);
const failures: Record<string, number> = {};
const fail = (why: string) => failures[why] = (failures[why] ?? 0) + 1;

const sockets =
  (await Promise.all(Array.from({ length: Number(count) }, () =>
    new Promise<Socket | undefined>((resolve) => {
      const socket = net.connect({ host, port: Number(port), allowHalfOpen: true });
      socket.once("connect", () => resolve(socket));
      socket.on("error", ({ code = "unknown" }: NodeJS.ErrnoException) => {
        fail(code);
        resolve(undefined);
      });
    })))).filter((socket) => socket !== undefined);

await Promise.all(sockets.map((socket) =>
  new Promise<void>((resolve) => {
    const content = randomBytes(Number(bytes));
    const hash = createHash("sha256");
    let got = 0;
    socket.on("data", (chunk: Uint8Array) => {
      got += chunk.length;
      hash.update(chunk);
    });
    socket.once("end", () => {
      const right = createHash("sha256").update(content).digest("hex");
      if (got !== content.length || hash.digest("hex") !== right) fail("content");
      resolve();
    });
    socket.once("close", () => resolve());
    socket.end(content);
  })
));
console.log(JSON.stringify({ connected: sockets.length, failures }));
process.exit(0);
