/** Attaches shares to their objects, each with a session, and keeps them: `attached_agents.ts RELAY COUNT`. */
import { SESSION_HEADER } from "../../shared/internal_headers.ts";
import { dialHandshake } from "../../shared/relay/handshake.ts";
import { connectQmux } from "../../shared/transport/qmux/ws.ts";
import { Device } from "../../tests/support/agents.ts";

const [url = "", count = "0"] = Deno.args;
const kept: unknown[] = [];
for (let i = 0; i < Number(count); i++) {
  const device = await Device.of({ url });
  const { name, edges } = await device.register();
  const session = await connectQmux(edges[0]!.ws, { headers: { [SESSION_HEADER]: name } });
  const ticket = await device.api.ticket("share", name);
  kept.push(session, await dialHandshake(session, { role: "share", name, ticket, agent: "bench" }, 10_000));
}
console.log("attached");
setInterval(() => kept.length, 60_000);
