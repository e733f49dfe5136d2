import { KNOWN_NAMES_CACHE_MS, KNOWN_NAMES_MAX, NAME_INDEX_PARTS } from "../../shared/limits.ts";
import type { Env } from "../env.ts";
import type { Reservations } from "./claim_name.ts";
import type { NameHome } from "./name_records.ts";

/**
 * Which names were ever registered and not yet released, and in which jurisdiction the object of each is. Only such names
 * reach a Share object, because every look at one creates it: workerd makes files for it, Cloudflare bills it. Without the
 * index a stranger could fill a disk by asking for random hosts.
 */
export interface NameIndex extends Reservations {
  /** Undefined for a name that is not registered. What it says may be KNOWN_NAMES_CACHE_MS old. */
  find(name: string): Promise<NameHome | undefined>;
  /** The same, as it is now. */
  ask(name: string): Promise<NameHome | undefined>;
}

/** Names that this isolate has seen registered. A released one in here costs a look at an empty share, no more. */
const known = new Map<string, { readonly home: NameHome; readonly at: number }>();

export function nameIndex(env: Env): NameIndex {
  const part = (name: string) => env.NAMES.get(env.NAMES.idFromName(`names-${indexPart(name)}`));
  const ask = async (name: string) => {
    const found = await part(name).find(name);
    if (found !== undefined) remember(name, found);
    return found;
  };
  return {
    ask,
    async find(name) {
      const before = known.get(name);
      const age = before === undefined ? Infinity : Date.now() - before.at;
      return age >= 0 && age < KNOWN_NAMES_CACHE_MS ? before!.home : await ask(name);
    },
    async reserve(name, home) {
      // Never skipped for a known name: another isolate may have released it since.
      const reserved = await part(name).reserve(name, home);
      remember(name, reserved);
      return reserved;
    },
    async remove(name) {
      known.delete(name);
      await part(name).remove(name);
    },
  };
}

function remember(name: string, home: NameHome): void {
  if (known.size >= KNOWN_NAMES_MAX) known.clear();
  known.set(name, { home, at: Date.now() });
}

/** FNV-1a over the name's characters, folded to the number of parts. */
function indexPart(name: string): number {
  let hash = 0x811c_9dc5;
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x0100_0193) >>> 0;
  return hash % NAME_INDEX_PARTS;
}
