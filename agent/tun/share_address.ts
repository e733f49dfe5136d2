/**
 * Which address a share has on this machine: remembered, so that it has the same one the next time, and told to others who
 * connect to it while somebody does. One file per share; it belongs to the process whose sign of life is in it.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { TUN_ADDRESS_WAIT_MS, TUN_RECORD_MAX_BYTES } from "../../shared/limits.ts";
import { giveLifeSign, isAlive, type LifeSign } from "../home/alive.ts";
import { createFile, ensurePrivateDir, readText, removeFile, replaceFile } from "../home/files.ts";
import { parseIp } from "../reach/ip.ts";

/** Which share of which service: a share that has another identity is another one. */
export interface AddressKey {
  readonly relay: string;
  readonly name: string;
  readonly fingerprint: string;
}

/** Where a share is on this machine. */
export interface KnownAddress {
  readonly ip: string;
  readonly ip6: string | undefined;
}

interface Record extends Partial<KnownAddress>, Partial<LifeSign> {}

export type AddressClaim =
  /** Another process of ours carries it, as `isCarried` tells. */
  | { readonly kind: "carried"; readonly address: KnownAddress; isCarried(): Promise<boolean> }
  /** It is for this process to carry it. */
  | {
    readonly kind: "ours";
    readonly remembered: string | undefined;
    /** Tells the others where it is. */
    publish(address: KnownAddress): Promise<void>;
    /** Gives it up; the address is remembered. Idempotent. */
    release(): Promise<void>;
  };

/**
 * Finds out who carries the address of a share; nobody else does once this says that it is ours.
 * @param isHere whether this machine has an address: whoever only says that he carries it does not
 */
export async function claimAddress(
  dir: string,
  key: AddressKey,
  isHere: (ip: string) => boolean = () => true,
): Promise<AddressClaim> {
  await ensurePrivateDir(dir);
  const name = createHash("sha256").update(`${key.relay}\n${key.name}\n${key.fingerprint}`).digest("hex").slice(0, 32);
  const path = join(dir, `${name}.json`);
  const until = performance.now() + TUN_ADDRESS_WAIT_MS;
  for (;;) {
    const record = parseRecord(await readText(path, TUN_RECORD_MAX_BYTES));
    if (record === undefined || !await lives(record) || record.ip !== undefined && !isHere(record.ip)) {
      // One process at a time takes over: the lock is a file that only one of them makes.
      const claim = await take(path, record?.ip, isHere);
      if (claim !== undefined) return claim;
    } else if (record.ip !== undefined) {
      const { ip, ip6 } = record;
      return { kind: "carried", address: { ip, ip6 }, isCarried: async () => isHere(ip) && await lives(record) };
    }
    if (performance.now() > until) return unclaimed(record?.ip);
    await new Promise((resolve) => setTimeout(resolve, TUN_ADDRESS_WAIT_MS / 50));
  }
}

async function take(
  path: string,
  remembered: string | undefined,
  isHere: (ip: string) => boolean,
): Promise<AddressClaim | undefined> {
  const { close, port, nonce } = await giveLifeSign();
  const own: Record = { port, nonce };
  const lock = `${path}.lock`;
  const text = JSON.stringify(own);
  if (!await createFile(lock, text)) {
    const other = parseRecord(await readText(lock, TUN_RECORD_MAX_BYTES));
    if (other === undefined || !await lives(other)) await removeFile(lock);
    close();
    return undefined;
  }
  try {
    const now = parseRecord(await readText(path, TUN_RECORD_MAX_BYTES));
    if (now !== undefined && await lives(now) && (now.ip === undefined || isHere(now.ip))) {
      close();
      return undefined;
    }
    await replaceFile(path, text);
  } finally {
    await removeFile(lock);
  }
  let address: KnownAddress | undefined;
  return {
    kind: "ours",
    remembered,
    async publish(known) {
      address = known;
      await replaceFile(path, JSON.stringify({ ...own, ...known }));
    },
    async release() {
      close();
      if (parseRecord(await readText(path, TUN_RECORD_MAX_BYTES))?.nonce !== nonce) return;
      const ip = address?.ip ?? remembered;
      if (ip === undefined) await removeFile(path);
      else await replaceFile(path, JSON.stringify({ ip }));
    },
  };
}

/** Where others cannot be told: the address is carried all the same. */
function unclaimed(remembered: string | undefined): AddressClaim {
  return { kind: "ours", remembered, publish: () => Promise.resolve(), release: () => Promise.resolve() };
}

function lives({ port, nonce }: Record): Promise<boolean> {
  return port === undefined || nonce === undefined ? Promise.resolve(false) : isAlive({ port, nonce });
}

function parseRecord(text: string | undefined): Record | undefined {
  if (text === undefined) return undefined;
  let fields: { [name: string]: unknown };
  try {
    fields = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof fields !== "object" || fields === null) return undefined;
  const { ip, ip6, port, nonce } = fields;
  return {
    ...(typeof ip === "string" && parseIp(ip) !== undefined ? { ip } : {}),
    ...(typeof ip6 === "string" && parseIp(ip6) !== undefined ? { ip6 } : {}),
    ...(typeof port === "number" && Number.isInteger(port) && port > 0 && port < 65_536 ? { port } : {}),
    ...(typeof nonce === "string" ? { nonce } : {}),
  };
}
