import { KNOWN_NAMES_MAX, NAME_INDEX_PARTS } from "../../shared/limits.ts";
import type { Env } from "../env.ts";

/**
 * Which names were ever registered and not yet released. Only such names reach a Share object, because every look at one
 * creates it: workerd makes files for it, Cloudflare bills it. Without the index a stranger could fill a disk by asking for
 * random hosts.
 */
export interface NameIndex {
  /** True for registered names; possibly still true for one released a moment ago. */
  has(name: string): Promise<boolean>;
  add(name: string): Promise<void>;
  remove(name: string): Promise<void>;
}

/** Names that this isolate has seen registered. A released one in here costs a look at an empty share, no more. */
const known = new Set<string>();

export function nameIndex(env: Env): NameIndex {
  const part = (name: string) => env.NAMES.get(env.NAMES.idFromName(`names-${indexPart(name)}`));
  return {
    async has(name) {
      if (known.has(name)) return true;
      const found = await part(name).has(name);
      if (found) remember(name);
      return found;
    },
    async add(name) {
      // Never skipped for a known name: another isolate may have released it since.
      await part(name).add(name);
      remember(name);
    },
    async remove(name) {
      known.delete(name);
      await part(name).remove(name);
    },
  };
}

function remember(name: string): void {
  if (known.size >= KNOWN_NAMES_MAX) known.clear();
  known.add(name);
}

/** FNV-1a over the name's characters, folded to the number of parts. */
function indexPart(name: string): number {
  let hash = 0x811c_9dc5;
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x0100_0193) >>> 0;
  return hash % NAME_INDEX_PARTS;
}
