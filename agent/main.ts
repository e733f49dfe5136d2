/** The agent's entry, for Deno (from the sources or bundled) and for Node (bundled). */
import "../shared/transport/qmux/with_resolvers.ts";
import process from "node:process";
import { runCommandLine } from "./cli/run.ts";

await runCommandLine(process.argv.slice(2));
