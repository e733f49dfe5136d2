/**
 * The memory of running shares: which name belongs to which target at which service. A share that was killed comes back
 * under its name when the same command is run again; a second living share of the same target gets a name of its own.
 *
 * One file per share, `<hash of service and target>-<slot>.json`. A slot belongs to the process whose sign of life is in
 * the file. Slots change hands by `rename`, which only one process can win.
 */
import { createHash, randomBytes } from "node:crypto";
import { readdir, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { isName } from "../../shared/names.ts";
import {
  RUNNING_RECORD_MAX_BYTES,
  RUNNING_RECORD_TTL_MS,
  RUNNING_SLOTS_MAX,
  RUNNING_SWEEP_MAX,
} from "../../shared/limits.ts";
import { giveLifeSign, isAlive, type LifeSign } from "./alive.ts";
import { createFile, ensurePrivateDir, readText, removeFile, replaceFile } from "./files.ts";

/** What is shared where. */
export interface ShareKey {
  /** Origin of the service. */
  readonly relay: string;
  /** The target in one canonical spelling. */
  readonly target: string;
}

/** Where a running share listens to its owner (agent/owner/). */
export interface OwnerDoor {
  /** On 127.0.0.1. */
  readonly port: number;
  /** Who shows it has read this file: its owner. */
  readonly secret: string;
}

/** This process's place in the memory. */
export interface RunningShare {
  /** The name under which the same share ran before it was killed. */
  readonly previousName: string | undefined;
  /** Notes the name in use, so that it comes back after a kill, and where its owner can talk to it. */
  remember(name: string, door?: OwnerDoor): Promise<void>;
  /** A clean end: the name is not asked for again. Idempotent. */
  forget(): Promise<void>;
}

interface Record extends LifeSign {
  readonly relay: string;
  readonly target: string;
  readonly pid: number;
  readonly name?: string;
  readonly door?: OwnerDoor;
}

/** Takes a slot in `dir` for a share of this process. */
export async function claimRunning(dir: string, key: ShareKey): Promise<RunningShare> {
  await ensurePrivateDir(dir);
  await sweep(dir);
  const sign = await giveLifeSign();
  const own: Record = { ...key, pid: process.pid, port: sign.port, nonce: sign.nonce };
  const hash = createHash("sha256").update(`${key.relay}\n${key.target}`).digest("hex").slice(0, 24);
  let previousName: string | undefined;
  try {
    for (let slot = 0; slot < RUNNING_SLOTS_MAX; slot++) {
      const path = join(dir, `${hash}-${slot}.json`);
      const cleared = await clearSlot(path);
      // A name that was freed is ours, even if the slot itself goes to somebody faster.
      previousName ??= cleared.name;
      const record = previousName === undefined ? own : { ...own, name: previousName };
      if (cleared.empty && await createFile(path, JSON.stringify(record))) {
        return new Claim(path, own, previousName, sign.close);
      }
    }
  } catch (error) {
    sign.close();
    throw error;
  }
  // So many at once: share all the same, only without a memory.
  return new Claim(undefined, own, previousName, sign.close);
}

/** Empties a slot whose process is dead. `name` is the one it had: whoever emptied the slot may use it. */
async function clearSlot(path: string): Promise<{ empty: boolean; name?: string | undefined }> {
  const text = await readText(path, RUNNING_RECORD_MAX_BYTES);
  if (text === undefined) return { empty: true };
  const record = parseRecord(text);
  if (record !== undefined && await isAlive(record)) return { empty: false };
  const aside = `${path}.${randomBytes(6).toString("hex")}`;
  try {
    await rename(path, aside);
  } catch {
    return { empty: false }; // somebody else was faster
  }
  const taken = await readText(aside, RUNNING_RECORD_MAX_BYTES);
  const same = taken === text;
  // Somebody took the slot between our look and our rename: give it back.
  if (!same && taken !== undefined) await createFile(path, taken);
  await removeFile(aside);
  return same ? { empty: true, name: record?.name } : { empty: false };
}

class Claim implements RunningShare {
  readonly previousName: string | undefined;
  readonly #path: string | undefined;
  readonly #own: Record;
  readonly #close: () => void;

  constructor(path: string | undefined, own: Record, previousName: string | undefined, close: () => void) {
    this.#path = path;
    this.#own = own;
    this.previousName = previousName;
    this.#close = close;
  }

  async remember(name: string, door?: OwnerDoor): Promise<void> {
    if (this.#path === undefined) return;
    await replaceFile(this.#path, JSON.stringify({ ...this.#own, name, ...(door === undefined ? {} : { door }) }));
  }

  async forget(): Promise<void> {
    this.#close();
    if (this.#path === undefined) return;
    const text = await readText(this.#path, RUNNING_RECORD_MAX_BYTES);
    if (text !== undefined && parseRecord(text)?.nonce === this.#own.nonce) await removeFile(this.#path);
  }
}

/** Where the living share of this name at this service listens to its owner; undefined when it does not, or is not here. */
export async function findDoor(dir: string, relay: string, name: string): Promise<OwnerDoor | undefined> {
  const names = await readdir(dir).catch(() => []);
  for (const file of names.slice(0, RUNNING_SWEEP_MAX)) {
    const record = parseRecord(await readText(join(dir, file), RUNNING_RECORD_MAX_BYTES).catch(() => undefined) ?? "");
    if (record?.relay === relay && record.name === name && record.door !== undefined && await isAlive(record)) {
      return record.door;
    }
  }
  return undefined;
}

/** Removes records of shares that were killed long ago and never started again. */
async function sweep(dir: string): Promise<void> {
  const before = Date.now() - RUNNING_RECORD_TTL_MS;
  for (const name of (await readdir(dir)).slice(0, RUNNING_SWEEP_MAX)) {
    const path = join(dir, name);
    const info = await stat(path).catch(() => undefined);
    if (info === undefined || info.mtimeMs > before) continue;
    const record = parseRecord(await readText(path, RUNNING_RECORD_MAX_BYTES).catch(() => undefined) ?? "");
    if (record === undefined || !await isAlive(record)) await removeFile(path);
  }
}

function parseRecord(text: string): Record | undefined {
  let value: Partial<{ [Field in keyof Record]: unknown }> | null;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { relay, target, pid, port, nonce, name, door } = value;
  if (typeof relay !== "string" || typeof target !== "string" || typeof pid !== "number") return undefined;
  if (typeof port !== "number" || !Number.isInteger(port) || port < 1 || port > 65535) return undefined;
  if (typeof nonce !== "string") return undefined;
  return {
    ...{ relay, target, pid, port, nonce },
    ...(typeof name === "string" && isName(name) ? { name } : {}),
    ...(isDoor(door) ? { door } : {}),
  };
}

function isDoor(value: unknown): value is OwnerDoor {
  const door = value as Partial<OwnerDoor> | null | undefined;
  return typeof door?.port === "number" && Number.isInteger(door.port) && door.port > 0 && door.port < 65_536 &&
    typeof door.secret === "string";
}
