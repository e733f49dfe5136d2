/** The configuration directory of spanway: the device's key and the memory of running shares. */
import { join } from "node:path";
import process from "node:process";
import type { Identity } from "../../shared/identity.ts";
import { homeDir } from "../bin/home_dir.js";
import { HomeError } from "../errors.ts";
import type { OwnerDoor, RunningShare, ShareKey } from "./running.ts";

export class Home {
  /** Absolute path. The directory may not exist yet. */
  readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
  }

  /** Path of the private key. */
  get keyFile(): string {
    return join(this.dir, "identity.pem");
  }

  /**
   * This device's identity; its key is made on first use.
   * @throws {HomeError}
   */
  async identity(): Promise<Identity> {
    const [{ ensurePrivateDir }, { loadIdentity }] = await Promise.all([
      import("./files.ts"),
      import("./identity_file.ts"),
    ]);
    await ensurePrivateDir(this.dir);
    return loadIdentity(this.keyFile);
  }

  /**
   * Takes this process's place in the memory of running shares.
   * @throws {HomeError} `home-unusable`
   */
  async claimRunning(key: ShareKey): Promise<RunningShare> {
    const dir = this.#running;
    const { claimRunning } = await import("./running.ts");
    try {
      return await claimRunning(dir, key);
    } catch (error) {
      if (error instanceof HomeError) throw error;
      throw new HomeError("home-unusable", `The memory of running shares in ${dir} cannot be used.`, {
        hint: "Check who owns the directory and whether the disk is full, or set SPANWAY_HOME to another one.",
        cause: error,
      });
    }
  }

  /** Where a share that runs on this machine listens to its owner; undefined when none of that name does. */
  async findDoor(relay: string, name: string): Promise<OwnerDoor | undefined> {
    const { findDoor } = await import("./running.ts");
    return findDoor(this.#running, relay, name);
  }

  /** Where it is remembered which share has which address on this machine. */
  get addressesDir(): string {
    return join(this.dir, "addresses");
  }

  get #running(): string {
    return join(this.dir, "running");
  }
}

/**
 * The home that the environment names. Nothing is read or made yet.
 * @throws {HomeError} `home-unusable` when it names none
 */
export function openHome(env: NodeJS.ProcessEnv = process.env): Home {
  const dir = homeDir(env, process.platform);
  if (dir === undefined) {
    throw new HomeError("home-unusable", "No home directory is known.", {
      hint: "Set SPANWAY_HOME to a directory where spanway may keep its key.",
    });
  }
  return new Home(dir);
}
