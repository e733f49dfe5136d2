import { SpanwayError } from "../../shared/errors.ts";
import type { CommandContext } from "../cli/context.ts";
import { formatDuration } from "../cli/duration.ts";
import { askShare } from "./door.ts";

export interface KickOptions {
  /** Origin of the service. */
  readonly relay: URL;
  /** Of the share. */
  readonly name: string;
  /** Undefined lists them. */
  readonly session: string | undefined;
}

/** A login as the running share describes it. */
interface Login {
  readonly session: string;
  readonly device: string;
  readonly from?: string;
  readonly loggedIn: boolean;
  readonly ms: number;
}

/**
 * `spanway kick`: ends a login to a share that runs on this machine, or lists them.
 * @throws {SpanwayError} `ssh-session-unknown`; `share-unknown` when no such share runs here
 */
export async function runKick({ relay, name, session }: KickOptions, { home, output }: CommandContext): Promise<void> {
  const door = await home.findDoor(relay.origin, name);
  if (door === undefined) {
    throw new SpanwayError("share-unknown", `No share named ${name} with SSH runs on this machine.`, {
      hint: "Run this where it is shared, with the same SPANWAY_HOME and --relay.",
    });
  }
  if (session !== undefined) {
    await askShare(door, { do: "kick", session });
    output.event("kicked", { name, session });
    return output.line(`The login ${session} has been ended.`);
  }
  const logins = parseLogins(await askShare(door, { do: "sessions" }));
  output.event("logins", { name, logins });
  if (logins.length === 0) return output.line(`Nobody is logged in to ${name}.`);
  const rows = logins.map(({ session, device, from, loggedIn, ms }) => [
    session,
    loggedIn ? "logged in" : "connected",
    device,
    from ?? "",
    formatDuration(ms),
  ]);
  output.table(["LOGIN", "STATE", "DEVICE", "FROM", "FOR"], rows);
}

function parseLogins(answer: unknown): Login[] {
  return Array.isArray(answer) ? answer as Login[] : [];
}
