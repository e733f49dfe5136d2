/** What is in a folder, as far as visitors may know. */
import { readdir, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { FOLDER_LISTING_MAX, FOLDER_STAT_CONCURRENCY } from "../../../shared/limits.ts";
import { type Bounds, isHidden, isVisible } from "./locate.ts";

export interface Entry {
  readonly name: string;
  readonly folder: boolean;
  /** Bytes; 0 for a folder. */
  readonly size: number;
  /** Unix milliseconds. */
  readonly modified: number;
}

export interface Listing {
  /** Folders first, then by name as people sort: `2.txt` before `10.txt`. */
  readonly entries: readonly Entry[];
  /** Names left out because there are too many. */
  readonly omitted: number;
}

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/**
 * Lists the folder at the real path `path`. Links that lead outside the bounds are left out.
 * @throws when the folder cannot be read
 */
export async function listFolder(bounds: Bounds, path: string): Promise<Listing> {
  const names = (await readdir(path)).filter((name) => !isHidden(name)).sort(collator.compare);
  const shown = names.slice(0, FOLDER_LISTING_MAX);
  const entries: (Entry | undefined)[] = new Array(shown.length);
  let next = 0;
  const work = async () => {
    for (let index = next++; index < shown.length; index = next++) {
      entries[index] = await describe(bounds, path, shown[index]!);
    }
  };
  await Promise.all(Array.from({ length: FOLDER_STAT_CONCURRENCY }, work));
  return {
    entries: entries.filter((entry) => entry !== undefined).sort((a, b) => Number(b.folder) - Number(a.folder)),
    omitted: names.length - shown.length,
  };
}

async function describe(bounds: Bounds, folder: string, name: string): Promise<Entry | undefined> {
  try {
    const path = await realpath(join(folder, name));
    if (!isVisible(bounds, path)) return undefined;
    const info = await stat(path);
    if (info.isDirectory()) return { name, folder: true, size: 0, modified: info.mtimeMs };
    return info.isFile() ? { name, folder: false, size: info.size, modified: info.mtimeMs } : undefined;
  } catch {
    return undefined; // gone, or a link to nowhere
  }
}
