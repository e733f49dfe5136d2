/** The agent's entry, for Deno (from the sources or bundled) and for Node (bundled). */
import "../shared/transport/qmux/with_resolvers.ts";
import process from "node:process";

if (process.env.SPANWAY_INSIDE) {
  const { enter } = await import("./tun/inside/enter.ts");
  process.exit(await enter());
}
const { runCommandLine } = await import("./cli/run.ts");
await runCommandLine(process.argv.slice(2));
