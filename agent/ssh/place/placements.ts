/**
 * The memory of keys that were put somewhere, so that those of a killed share are taken away by the next one: one file per
 * key, written before the key is put there and removed after it is taken away.
 */
import { createHash } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { errorMessage } from "../../../shared/errors.ts";
import {
  SSH_PLACE_SWEEP_TIMEOUT_MS,
  SSH_PLACEMENT_MAX_BYTES,
  SSH_PLACEMENT_TTL_MS,
  SSH_PLACEMENTS_MAX,
} from "../../../shared/limits.ts";
import { SshError } from "../../errors.ts";
import { isAlive, type LifeSign } from "../../home/alive.ts";
import { createFile, ensurePrivateDir, readText, removeFile } from "../../home/files.ts";
import type { Place, PlaceKind } from "./place.ts";
import { isTag } from "./words.ts";

/** A key that was put somewhere by a process that is dead. */
export interface StalePlacement {
  readonly kind: PlaceKind;
  readonly tag: string;
  /** No share lasts until now: the key has expired. */
  readonly isOver: boolean;
  forget(): Promise<void>;
}

interface Record extends LifeSign {
  readonly place: PlaceKind;
  readonly tag: string;
  readonly pid: number;
}

const FILE = /^[0-9a-f]{32}\.json$/;
/** What home/files.ts leaves when it is killed. */
const UNFINISHED = /^\.tmp-/;

/**
 * Writes down that a key is about to be put somewhere.
 * @param dir made where it is missing
 * @param sign of this process
 * @throws {SshError} `ssh-place-failed` when SSH_PLACEMENTS_MAX are written down already; {HomeError}
 */
export async function rememberPlacement(
  dir: string,
  place: PlaceKind,
  tag: string,
  { port, nonce }: LifeSign,
): Promise<{ forget(): Promise<void> }> {
  if (!isTag(tag)) throw new TypeError("not a tag");
  await ensurePrivateDir(dir);
  if ((await readdir(dir)).filter((name) => FILE.test(name)).length >= SSH_PLACEMENTS_MAX) {
    throw new SshError("ssh-place-failed", `${SSH_PLACEMENTS_MAX} keys of this machine's shares are in use already.`, {
      hint: `Stop some shares. Those that were killed are written down in ${dir}.`,
    });
  }
  const path = join(dir, `${createHash("sha256").update(tag).digest("hex").slice(0, 32)}.json`);
  const record: Record = { place, tag, pid: process.pid, port, nonce };
  if (!await createFile(path, JSON.stringify(record))) throw new TypeError("a tag is used twice");
  return { forget: () => removeFile(path) };
}

/** Those whose process is dead. What is not readable is removed. Never more than SSH_PLACEMENTS_MAX. */
export async function stalePlacements(dir: string): Promise<readonly StalePlacement[]> {
  const names = await readdir(dir).catch(() => []);
  for (const name of names.filter((each) => UNFINISHED.test(each)).slice(0, SSH_PLACEMENTS_MAX)) {
    if (await isOld(join(dir, name))) await removeFile(join(dir, name)).catch(() => {});
  }
  const files = names.filter((name) => FILE.test(name)).slice(0, SSH_PLACEMENTS_MAX);
  const all = await Promise.all(files.map((name) => staleAt(join(dir, name))));
  return all.filter((each) => each !== undefined);
}

/**
 * Takes away the keys of shares that were killed. A place that cannot be reached now is tried again next time, as long as
 * its key can be of use to anybody. Never rejects for a place.
 * @param report hears what is worth telling the owner
 */
export async function sweepStale(
  dir: string,
  open: (kind: PlaceKind) => Promise<Place>,
  report: (text: string) => void,
): Promise<void> {
  const byPlace = new Map<string, StalePlacement[]>();
  for (const stale of await stalePlacements(dir)) {
    const key = JSON.stringify(stale.kind);
    byPlace.set(key, [...byPlace.get(key) ?? [], stale]);
  }
  for (const all of byPlace.values()) {
    const { kind } = all[0]!;
    let label = nameOf(kind);
    try {
      const place = await open(kind);
      label = place.label;
      // Said before: their own ssh may ask the owner for something.
      report(`Taking away what a killed share has left: its key at ${label}.`);
      await place.sweep(all.map(({ tag }) => tag), AbortSignal.timeout(SSH_PLACE_SWEEP_TIMEOUT_MS));
      for (const { forget } of all) await forget();
    } catch (error) {
      report(`The key of a killed share could not be taken away at ${label}: ${errorMessage(error)}`);
      for (const { isOver, forget } of all) if (isOver) await forget().catch(() => {});
    }
  }
}

async function staleAt(path: string): Promise<StalePlacement | undefined> {
  try {
    const text = await readText(path, SSH_PLACEMENT_MAX_BYTES);
    if (text === undefined) return undefined;
    const record = parseRecord(text);
    if (record === undefined) {
      await removeFile(path);
      return undefined;
    }
    if (await isAlive(record)) return undefined;
    const { place: kind, tag } = record;
    return { kind, tag, isOver: await isOld(path), forget: () => removeFile(path) };
  } catch {
    // Not ours to read, or a directory: nothing that this module has written.
    return undefined;
  }
}

async function isOld(path: string): Promise<boolean> {
  const info = await stat(path).catch(() => undefined);
  return info !== undefined && info.mtimeMs < Date.now() - SSH_PLACEMENT_TTL_MS;
}

function nameOf(kind: PlaceKind): string {
  switch (kind.kind) {
    case "account":
      return kind.user === undefined ? "this account" : `the account ${kind.user} on this machine`;
    case "host":
      return kind.user === undefined ? kind.host : `${kind.user}@${kind.host}`;
    case "vagrant":
      return kind.machine === undefined ? "a Vagrant machine" : `the Vagrant machine ${kind.machine}`;
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
  const { tag, pid, port, nonce } = value;
  const place = parsePlace(value.place);
  if (place === undefined || typeof tag !== "string" || !isTag(tag)) return undefined;
  if (typeof pid !== "number" || typeof nonce !== "string") return undefined;
  if (typeof port !== "number" || !Number.isInteger(port) || port < 1 || port > 65_535) return undefined;
  return { place, tag, pid, port, nonce };
}

/** What is in the words is checked where a place is opened. JSON has no `undefined`: such fields are missing. */
function parsePlace(value: unknown): PlaceKind | undefined {
  const { kind, user, file, host, port, folder, machine } = (value ?? {}) as { [field: string]: unknown };
  const isText = (field: unknown): field is string | undefined => field === undefined || typeof field === "string";
  if (!isText(user) || !isText(file) || !isText(machine)) return undefined;
  if (kind === "account") return { kind, user, ...(file === undefined ? {} : { file }) };
  if (kind === "host" && typeof host === "string" && (port === undefined || typeof port === "number")) {
    return { kind, user, host, port };
  }
  if (kind === "vagrant" && typeof folder === "string") return { kind, folder, machine };
  return undefined;
}
