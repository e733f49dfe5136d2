import { randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SpanwayError } from "../../shared/errors.ts";
import { CERTIFICATE_ANNOUNCE_MS, CERTIFICATE_LIFE_MS, CERTIFICATE_RENEW_MS } from "../../shared/limits.ts";
import { makeCertificate, readCertificate, type SelfSignedCertificate } from "./certificate.ts";

/** What a keeper needs. */
export interface KeeperOptions {
  /** Where the certificate is kept, so that a restart keeps its hash. Made when missing. */
  readonly dir: string;
  /** Host names and IP addresses that it is for. */
  readonly names: readonly string[];
  /** Unix time in milliseconds. */
  now(): number;
}

/** The file in `dir`: private keys included, so nobody else may read it. */
const FILE = "quic-certificate.json";

interface Stored {
  readonly names: readonly string[];
  readonly certificates: readonly { readonly cert: string; readonly key: string }[];
}

/**
 * Keeps an edge's QUIC certificate young. The next one is made CERTIFICATE_RENEW_MS before the current one ends and its
 * hash told at once; it is used CERTIFICATE_ANNOUNCE_MS later, when everybody has heard of it.
 */
export class CertificateKeeper {
  readonly #options: KeeperOptions;
  #current: SelfSignedCertificate;
  #next: SelfSignedCertificate | undefined;
  #renewing: Promise<boolean> | undefined;

  private constructor(options: KeeperOptions, current: SelfSignedCertificate, next?: SelfSignedCertificate) {
    this.#options = options;
    this.#current = current;
    this.#next = next;
  }

  /**
   * Takes up the certificate that is kept in `dir`, or makes one when there is none that will do.
   * @throws {SpanwayError} `certificate-unsaved`
   */
  static async open(options: KeeperOptions): Promise<CertificateKeeper> {
    const [current, next] = await load(options);
    const keeper = new CertificateKeeper(options, current ?? await makeCertificate(options.names, options.now()), next);
    try {
      await keeper.#save();
    } catch (cause) {
      throw new SpanwayError("certificate-unsaved", `Cannot keep the certificate in ${options.dir}.`, {
        hint: "Choose a directory that can be written to.",
        cause,
      });
    }
    await keeper.renewIfDue();
    return keeper;
  }

  /** The certificate to serve with. */
  get current(): SelfSignedCertificate {
    return this.#current;
  }

  /** SHA-256 of the current certificate, and of the next one once there is one: what clients should accept. */
  get hashes(): readonly Uint8Array[] {
    return this.#next === undefined ? [this.#current.sha256] : [this.#current.sha256, this.#next.sha256];
  }

  /**
   * To be called every CERTIFICATE_CHECK_MS or so. True when `current` or `hashes` changed: then serve with the one and
   * announce the others. Never rejects because of the disk: what cannot be saved is lost in a restart, no sooner.
   */
  renewIfDue(): Promise<boolean> {
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async #renew(): Promise<boolean> {
    const now = this.#options.now();
    const ended = now >= this.#current.notAfter;
    if (this.#next === undefined) {
      if (now < this.#current.notAfter - CERTIFICATE_RENEW_MS) return false;
      const made = await makeCertificate(this.#options.names, now);
      if (ended) this.#current = made;
      else this.#next = made;
    } else {
      const made = this.#next.notAfter - CERTIFICATE_LIFE_MS;
      if (!ended && now < made + CERTIFICATE_ANNOUNCE_MS) return false;
      this.#current = this.#next;
      this.#next = undefined;
    }
    await this.#save().catch(() => {});
    return true;
  }

  /** Writes aside and renames, so that no crash leaves half a file. */
  async #save(): Promise<void> {
    const { dir, names } = this.#options;
    const certificates = [this.#current, this.#next].filter((one) => one !== undefined);
    const stored: Stored = { names, certificates: certificates.map(({ cert, key }) => ({ cert, key })) };
    const temporary = join(dir, `${FILE}.${randomUUID()}`);
    await mkdir(dir, { recursive: true, mode: 0o700 });
    try {
      await writeFile(temporary, JSON.stringify(stored), { mode: 0o600, flag: "wx" });
      await rename(temporary, join(dir, FILE));
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      throw error;
    }
  }
}

/** The kept certificates that are for these names and not over: the current one first. Empty when there are none. */
async function load({ dir, names, now }: KeeperOptions): Promise<SelfSignedCertificate[]> {
  try {
    const stored = JSON.parse(await readFile(join(dir, FILE), "utf8")) as Stored;
    if ([...stored.names].sort().join() !== [...names].sort().join()) return [];
    const certificates = await Promise.all(stored.certificates.map(({ cert, key }) => readCertificate(cert, key)));
    return certificates.filter(({ notAfter }) => notAfter > now()).slice(0, 2);
  } catch {
    // No file, or not one of ours: a new certificate takes its place.
    return [];
  }
}
