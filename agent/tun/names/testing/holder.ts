/** A process that guards a name until it is killed: `holder.ts SH FILE NAME`. Says "up" when the name is there. */
import { startGuard } from "../guard/guard.ts";

const [sh, file, name] = Deno.args as [string, string, string];
await startGuard(sh, { kind: "hosts", file, lines: [`172.16.0.2 ${name}.spanway`, `fd00::2 ${name}.spanway`] });
console.log("up");
setInterval(() => {}, 1000);
