import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { Transform } from "node:stream";
import { systemCode } from "../../home/files.ts";
import { isStatePath, type StateFile } from "./manifest.ts";

/** The files of the service's state in `dataDir`, sorted, with what is in them now. Links are not followed. */
export async function describeState(dataDir: string): Promise<readonly StateFile[]> {
  const files: StateFile[] = [];
  for (const path of (await regularFiles(dataDir, "", MAX_DEPTH)).filter(isStatePath).sort()) {
    const hash = createHash("sha256");
    let size = 0;
    for await (const chunk of createReadStream(join(dataDir, path))) {
      size += (chunk as Uint8Array).length;
      hash.update(chunk as Uint8Array);
    }
    files.push({ path, size, sha256: hash.digest("hex") });
  }
  return files;
}

/** `workerd/objects/CLASS/FILE` */
const MAX_DEPTH = 3;

async function regularFiles(dir: string, below: string, depth: number): Promise<string[]> {
  const entries = await readdir(join(dir, below), { withFileTypes: true }).catch((error) => {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  });
  const found = await Promise.all(entries.map((entry) => {
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    if (entry.isFile()) return [path];
    return entry.isDirectory() && depth > 0 ? regularFiles(dir, path, depth - 1) : [];
  }));
  return found.flat();
}

/** Passes bytes on and sees what they are. */
export class Fingerprint extends Transform {
  size = 0;
  readonly #hash: Hash = createHash("sha256");
  readonly #max: number;
  readonly #onMore: () => Error;

  /** @param max more bytes than that are the error that `onMore` makes */
  constructor(max: number, onMore: () => Error) {
    super();
    this.#max = max;
    this.#onMore = onMore;
  }

  override _transform(chunk: Uint8Array, _encoding: string, done: (error?: Error | null, data?: Uint8Array) => void) {
    this.size += chunk.length;
    if (this.size > this.#max) return done(this.#onMore());
    this.#hash.update(chunk);
    done(null, chunk);
  }

  /** Once all has passed: whether it was that file. */
  matches({ size, sha256 }: StateFile): boolean {
    return this.size === size && this.#hash.digest("hex") === sha256;
  }
}
