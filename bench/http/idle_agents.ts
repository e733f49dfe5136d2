/** Attaches many agents to an edge and keeps them: `idle_agents.ts URL#HASH COUNT`. Prints `attached` when all are. */
import { dialHandshake } from "../../shared/relay/handshake.ts";
import { connectH3 } from "../../shared/transport/deno/h3_client.ts";

const [address = "", count = "0"] = Deno.args;
const [url = "", hash = ""] = address.split("#");
const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1" });
const kept: unknown[] = [];
for (let i = 0; i < Number(count); i++) {
  const session = await connectH3(url, { certHashes: [Uint8Array.fromHex(hash)], endpoint });
  const hello = { role: "share" as const, name: `idle-${i}`, ticket: new Uint8Array(200), agent: "bench" };
  kept.push(session, await dialHandshake(session, hello, 10_000));
}
console.log("attached");
setInterval(() => kept.length, 60_000);
