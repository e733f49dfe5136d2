/** The lines that logins leave in the terminal of a share. */
import { formatBytes } from "../../cli/format_bytes.ts";
import { formatDuration } from "../../cli/duration.ts";
import type { Colors } from "../../cli/output.ts";
import { printable } from "../../cli/printable.ts";
import type { SshSessionEvent } from "./login_gate.ts";

/** What happened to a login, with the name by which it can be ended. */
export function sshLine(event: SshSessionEvent, colors: Colors): string {
  const { state, session, origin: { device, from }, ms, bytesIn, bytesOut, kicked, loggedIn } = event;
  const who = `${colors.bold(`SSH ${session}`)}  ${printable(device).slice(0, 7)}`;
  const where = from === undefined ? "" : colors.dim(`  from ${printable(from)}`);
  switch (state) {
    case "open":
      return `  ${who}  connected${where}`;
    case "login":
      return `  ${who}  ${colors.bold(colors.magenta("logged in"))}${where}`;
    case "closed": {
      const what = kicked ? colors.yellow("ended by you") : loggedIn ? "logged out" : "disconnected";
      const counts = `${formatDuration(Math.max(1000, Math.round(ms / 1000) * 1000))}, ${formatBytes(bytesIn)} in, ` +
        `${formatBytes(bytesOut)} out`;
      return `  ${who}  ${what}  ${colors.dim(counts)}`;
    }
  }
}
