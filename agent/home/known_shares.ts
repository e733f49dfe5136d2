/**
 * The identities that shares proved when they were first connected to, as `known_hosts` keeps those of SSH servers. One
 * file per share, so that processes need no lock: the first to make it decides.
 */
import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { LinkError, SpanwayError } from "../../shared/errors.ts";
import { FINGERPRINT_PATTERN } from "../../shared/identity.ts";
import { KNOWN_SHARE_MAX_BYTES, KNOWN_SHARES_MAX } from "../../shared/limits.ts";
import { COMMAND } from "../command_name.ts";
import { HomeError } from "../errors.ts";
import { createFile, ensurePrivateDir, readText, replaceFile, systemCode } from "./files.ts";

/** The shares that this device knows. */
export class KnownShares {
  readonly #dir: string;

  /** @param home the configuration directory */
  constructor(home: string) {
    this.#dir = join(home, "known");
  }

  /**
   * The fingerprint that a share proved when it was first met; undefined for one that never was.
   * @throws {HomeError} `home-unusable` when the memory of it cannot be read: it is never taken for new then
   */
  async lookup(relay: string, name: string): Promise<string | undefined> {
    const path = this.#path(relay, name);
    let text: string | undefined;
    try {
      text = await readText(path, KNOWN_SHARE_MAX_BYTES);
    } catch (cause) {
      throw unusable(path, `cannot be read (${systemCode(cause) ?? "unknown"})`, cause);
    }
    if (text === undefined) return undefined;
    const found = fingerprintIn(text);
    if (found === undefined) throw unusable(path, "is damaged");
    return found;
  }

  /**
   * Remembers a share that was not known. Of several processes that do so at once, one wins.
   * @throws {LinkError} `identity-changed` when another identity was faster; {HomeError} `home-unusable`
   */
  async pin(relay: string, name: string, fingerprint: string): Promise<void> {
    const path = this.#path(relay, name);
    await ensurePrivateDir(this.#dir);
    try {
      if ((await readdir(this.#dir)).length >= KNOWN_SHARES_MAX) throw unusable(this.#dir, "is full");
      if (await createFile(path, pinText(relay, name, fingerprint))) return;
    } catch (cause) {
      if (cause instanceof HomeError) throw cause;
      throw unusable(path, `cannot be written (${systemCode(cause) ?? "unknown"})`, cause);
    }
    checkIdentity({ name, expected: undefined, pinned: await this.lookup(relay, name), actual: fingerprint });
  }

  /**
   * Remembers this identity of a share whatever was remembered before, in one step: there is no moment without one.
   * @throws {LinkError} `identity-changed` when none was known and another was faster; {HomeError} `home-unusable`
   */
  async replace(relay: string, name: string, fingerprint: string): Promise<void> {
    const path = this.#path(relay, name);
    try {
      if (await readText(path, 1) === undefined) return await this.pin(relay, name, fingerprint);
      await replaceFile(path, pinText(relay, name, fingerprint));
    } catch (cause) {
      if (cause instanceof SpanwayError) throw cause;
      throw unusable(path, `cannot be written (${systemCode(cause) ?? "unknown"})`, cause);
    }
  }

  #path(relay: string, name: string): string {
    const hash = createHash("sha256").update(`${relay}\n${name}`).digest("hex").slice(0, 32);
    return join(this.#dir, `${hash}.json`);
  }
}

/** What is known of a share, and what it has just proved. */
export interface IdentityFacts {
  readonly name: string;
  /** Given by the person: the part of the code behind the `#`. */
  readonly expected: string | undefined;
  /** Remembered from an earlier connection. */
  readonly pinned: string | undefined;
  readonly actual: string;
}

/**
 * Decides whether a share is who it should be. What the person says counts more than what was remembered, which is
 * `outdated` then.
 * @throws {LinkError} `identity-changed`
 */
export function checkIdentity({ name, expected, pinned, actual }: IdentityFacts): "known" | "first-use" | "outdated" {
  const wanted = expected ?? pinned;
  if (wanted === undefined) return "first-use";
  if (wanted === actual) return pinned === undefined ? "first-use" : pinned === actual ? "known" : "outdated";
  throw expected !== undefined
    ? new LinkError(
      "identity-changed",
      `${name} is not the share that was meant: it proved ${actual}, not ${expected}.`,
      {
        hint: "Nothing was sent to it. Ask its owner for the present code; if that is the one you typed, somebody in " +
          "between is pretending to be the share.",
      },
    )
    : new LinkError("identity-changed", `The identity of ${name} has changed: it was ${pinned}, now it is ${actual}.`, {
      hint:
        "Nothing was sent to it. Either somebody in between is pretending to be the share, or its name has gone to " +
        `another device. Ask its owner for the code, and only if it names ${actual}: ${COMMAND} connect ${name} --forget`,
    });
}

function pinText(relay: string, name: string, fingerprint: string): string {
  return `${JSON.stringify({ relay, name, fingerprint })}\n`;
}

function fingerprintIn(text: string): string | undefined {
  try {
    const { fingerprint } = JSON.parse(text) as { fingerprint?: unknown };
    return typeof fingerprint === "string" && FINGERPRINT_PATTERN.test(fingerprint) ? fingerprint : undefined;
  } catch {
    return undefined;
  }
}

function unusable(path: string, what: string, cause?: unknown): HomeError {
  return new HomeError("home-unusable", `The memory of known shares ${path} ${what}.`, {
    hint: "Put it in order, or remove it if you can check the share's identity in another way.",
    cause,
  });
}
