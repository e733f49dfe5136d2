/** Logins that lead to an SSH server that runs already: this machine's, another host's, a Vagrant machine's. */
import { randomBytes } from "node:crypto";
import { isIP } from "node:net";
import { REACH_CONNECT_TIMEOUT_MS } from "../../../shared/limits.ts";
import type { TcpEnd } from "../../../shared/link/ends.ts";
import { SshError } from "../../errors.ts";
import type { LifeSign } from "../../home/alive.ts";
import { socketEnd } from "../../net/socket_end.ts";
import { addressKind } from "../../reach/address_kind.ts";
import { dial } from "../../reach/dial.ts";
import { formatIp, parseIp } from "../../reach/ip.ts";
import type { Lookup } from "../../reach/lookup.ts";
import { hostPort } from "../../target/target.ts";
import type { Place, PlaceKind } from "../place/place.ts";
import { rememberPlacement } from "../place/placements.ts";
import type { Admission, Landing, NewKey } from "./landing.ts";
import { tryLogin } from "./try_login.ts";

/** What a landing at a place needs to know of this machine. */
export interface PlaceSurroundings {
  /** Where it is written down what was put where, so that it is found after a crash. */
  readonly placementsDir: string;
  readonly sign: LifeSign;
  readonly lookup: Lookup;
  /** The addresses of this machine in canonical form. */
  readonly ownAddresses: () => ReadonlySet<string>;
}

/** What lies at the place, or is held back from it. */
interface Put {
  readonly tag: string;
  readonly publicKey: string;
  forget(): Promise<void>;
}

export class PlaceLanding implements Landing {
  readonly label: string;
  readonly user: string;
  readonly #kind: PlaceKind;
  readonly #place: Place;
  readonly #around: PlaceSurroundings;
  #put: Put | undefined;
  /** One change of the place after the other: a key must not come after it was withdrawn. */
  #changes: Promise<unknown> = Promise.resolve();
  #addresses: readonly string[] = [];

  constructor(kind: PlaceKind, place: Place, around: PlaceSurroundings) {
    this.#kind = kind;
    this.#place = place;
    this.#around = around;
    this.label = place.label;
    this.user = place.server.user;
  }

  async admit(key: NewKey, { name, expiresInMs }: Admission, signal: AbortSignal): Promise<readonly string[]> {
    const { host } = this.#place.server;
    this.#addresses = isIP(host) !== 0 ? [host] : await this.#around.lookup(host);
    const tag = `spanway:${name}:${randomBytes(6).toString("hex")}`;
    const { placementsDir, sign } = this.#around;
    // Written down before anything is put there: a crash in between leaves a note too many, never a key.
    const { forget } = await rememberPlacement(placementsDir, this.#kind, tag, sign);
    this.#put = { tag, publicKey: key.publicKey, forget };
    try {
      await this.#place.add({ publicKey: key.publicKey, tag, expiresInMs }, signal);
    } catch (error) {
      // It is there as a whole or not at all; only who was interrupted cannot know.
      if (!signal.aborted) await this.#forget();
      throw error;
    }
    const hostKey = await tryLogin(this.#place.server, key, signal);
    await this.#checkHostKey(hostKey);
    return [hostKey];
  }

  async connect(signal: AbortSignal): Promise<TcpEnd> {
    const { host, port } = this.#place.server;
    const place = hostPort(host, port);
    return socketEnd(await dial(this.#addresses, port, { signal, timeoutMs: REACH_CONNECT_TIMEOUT_MS, place }));
  }

  hold(): Promise<void> {
    return this.#change(async ({ tag }) => await this.#place.remove(tag));
  }

  letIn(ms: number): Promise<void> {
    return this.#change(({ tag, publicKey }) => this.#place.add({ publicKey, tag, expiresInMs: ms }));
  }

  withdraw(): Promise<void> {
    return this.#change(async ({ tag }) => {
      await this.#place.remove(tag);
      await this.#forget();
    });
  }

  /** Nothing is changed where nothing is put any more. */
  #change(work: (put: Put) => Promise<void>): Promise<void> {
    const changed = this.#changes.then(async () => {
      if (this.#put !== undefined) await work(this.#put);
    });
    this.#changes = changed.catch(() => {});
    return changed;
  }

  async #forget(): Promise<void> {
    await this.#put?.forget();
    this.#put = undefined;
  }

  isServer(address: string, port: number): boolean {
    if (port !== this.#place.server.port) return false;
    return this.#addresses.some((own) => isSame(own, address)) ||
      this.#addresses.some((own) => this.#isHere(own)) && this.#isHere(address);
  }

  /**
   * Another host's key is vouched for only when the host itself says, by the owner's own way in, that it is its own: the
   * trial login went over the network.
   */
  async #checkHostKey(hostKey: string): Promise<void> {
    if (this.#kind.kind === "account") return;
    const own = await this.#place.hostKeys();
    if (own.some((each) => each.split(" ", 2).join(" ") === hostKey)) return;
    throw new SshError("ssh-refused", `What answers as the SSH server of ${this.label} is not ${this.label}.`, {
      hint: "Its host key is none of those in its /etc/ssh. Check the address and the port of the SSH server.",
    });
  }

  #isHere(address: string): boolean {
    const ip = parseIp(address);
    return ip !== undefined && (addressKind(ip) === "loopback" || this.#around.ownAddresses().has(formatIp(ip)));
  }
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [parseIp(one), parseIp(other)];
  return a !== undefined && b !== undefined && formatIp(a) === formatIp(b);
}
