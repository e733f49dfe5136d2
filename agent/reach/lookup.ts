import { lookup as ask } from "node:dns/promises";
import { LinkError } from "../../shared/errors.ts";
import { REACH_LOOKUPS_MAX } from "../../shared/limits.ts";

/**
 * The addresses of a name, in the system's order.
 * @throws {LinkError} `name-unknown`, `timed-out`, `too-many-streams`, `internal`
 */
export type Lookup = (name: string) => Promise<readonly string[]>;

/**
 * Looks names up as every program of this machine does (hosts file, resolver). Who asks while the same question is under
 * way shares its answer; no answer is kept.
 */
export function createLookup(system: (name: string) => Promise<readonly string[]> = askSystem): Lookup {
  // A question that nobody waits for any more cannot be taken back: it keeps its place until it is answered.
  const pending = new Map<string, Promise<readonly string[]>>();
  return (name) => {
    const asked = pending.get(name);
    if (asked !== undefined) return asked;
    if (pending.size >= REACH_LOOKUPS_MAX) {
      return Promise.reject(new LinkError("too-many-streams", "Too many names are being looked up at once."));
    }
    const answer = system(name).catch((cause) => {
      throw lookupError(name, cause);
    }).finally(() => pending.delete(name));
    pending.set(name, answer);
    return answer;
  };
}

async function askSystem(name: string): Promise<readonly string[]> {
  return (await ask(name, { all: true, order: "verbatim" })).map(({ address }) => address);
}

function lookupError(name: string, cause: unknown): LinkError {
  switch ((cause as { code?: unknown } | null)?.code) {
    case "ENOTFOUND":
    case "ENODATA":
    case "EAI_NODATA":
    case "EAI_NONAME":
      return new LinkError("name-unknown", `The shared machine knows no host ${name}.`, { cause });
    case "EAI_AGAIN":
    case "ETIMEOUT":
      return new LinkError("timed-out", `The name ${name} could not be looked up in time.`, { cause });
    default:
      return new LinkError("internal", `The name ${name} could not be looked up.`, { cause });
  }
}
