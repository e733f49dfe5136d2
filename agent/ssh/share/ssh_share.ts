/** The SSH of a running share: its key, who gets through with it, and who is there. */
import { randomBytes } from "node:crypto";
import { errorMessage, LinkError, ProtocolError, ServiceError } from "../../../shared/errors.ts";
import { SSH_ONCE_LOGIN_MS } from "../../../shared/limits.ts";
import type { LinkOrigin, Reach } from "../../../shared/link/ends.ts";
import { claimText, decodeSshClaim, encodeSshRecord, isSshTarget, SshAbout } from "../../../shared/ssh/messages.ts";
import { SEAL_KEY_BYTES, sealSshKey } from "../../../shared/ssh/sealed_key.ts";
import { SshError } from "../../errors.ts";
import type { OwnerHandler } from "../../owner/door.ts";
import type { Landing, NewKey } from "./landing.ts";
import { LoginGate, type SshSessionEvent } from "./login_gate.ts";
import { verifyProof } from "./verify_proof.ts";

/** Who is told. */
export interface SshReport {
  sshSession(event: SshSessionEvent): void;
  /** The only login is over, and the key is gone. */
  sshUsed(): void;
  /** Something that its owner has to look after. */
  sshTrouble(message: string, hint?: string): void;
}

/** What an SSH share asks of the service. */
export interface SshKeyStore {
  /** Stores the sealed key of a share. @throws {ServiceError | TicketError} */
  put(name: string, key: Uint8Array, once: boolean, signal: AbortSignal): Promise<void>;
  /** Takes the only login. @throws {ServiceError | TicketError} `ssh-used` and others */
  claim(name: string, device: string): Promise<void>;
}

export interface SshShareParts {
  readonly landing: Landing;
  readonly once: boolean;
  /** Fingerprint of this device. */
  readonly fingerprint: string;
  readonly store: SshKeyStore;
  readonly report: SshReport;
}

/** What people log in with. */
interface Login {
  readonly name: string;
  readonly publicKey: string;
  readonly record: Uint8Array;
}

export class SshShare {
  readonly #parts: SshShareParts;
  readonly #gate: LoginGate;
  #login: Login | undefined;
  #over = false;
  #sessions = 0;

  constructor(parts: SshShareParts) {
    this.#parts = parts;
    const { landing, once, report, store } = parts;
    this.#gate = new LoginGate(once, {
      now: () => performance.now(),
      later: (ms, action) => void setTimeout(action, ms),
      sessionName: () => `${++this.#sessions}${randomBytes(1).toString("hex")}`,
      connect: (signal, loggedIn) => landing.connect(signal, loggedIn),
      claim: async (device) => {
        await store.claim(this.#login?.name ?? "", device);
        await landing.letIn(SSH_ONCE_LOGIN_MS);
      },
      withdraw: () => {
        this.#login = undefined;
        void this.#withdraw();
        if (!this.#over) report.sshUsed();
      },
      tell: (event) => report.sshSession(event),
    });
  }

  /** Whom to log in as, and for people what to. */
  get landing(): Pick<Landing, "user" | "label"> {
    return this.#parts.landing;
  }

  /** True where only the first login gets through. */
  get once(): boolean {
    return this.#parts.once;
  }

  /**
   * Lets people log in from here on. Nothing of the private half and the password is kept.
   * @param expiresInMs until the end of the share
   * @throws {SshError | ServiceError | TicketError} when it cannot be; `end` tidies up then, too
   */
  async begin(name: string, expiresInMs: number, key: NewKey, signal: AbortSignal): Promise<void> {
    const { landing, once, store } = this.#parts;
    const hostKeys = await landing.admit(key, { name, expiresInMs }, signal);
    // Somebody may reach the SSH server by another way than this share: the key is good for nothing before the claim.
    if (once) await landing.hold();
    const sealKey = new Uint8Array(randomBytes(SEAL_KEY_BYTES));
    await store.put(name, sealSshKey(sealKey, key.privateKey), once, signal);
    if (this.#over) return;
    const { publicKey } = key;
    const record = encodeSshRecord({ user: landing.user, hostKeys, publicKey, sealKey, once });
    this.#login = { name, publicKey, record };
  }

  /** Answers what a link is asked. @throws {SpanwayError} */
  async answer(origin: LinkOrigin, about: string, data: Uint8Array): Promise<Uint8Array> {
    switch (about) {
      case SshAbout.RECORD:
        return this.#current().record;
      case SshAbout.CLAIM: {
        const { publicKey } = this.#current();
        const text = claimText(this.#parts.fingerprint, origin.device, publicKey);
        if (!verifyProof(publicKey, decodeSshClaim(data), text)) {
          throw new SshError("ssh-refused", "The login was not shown to be possible.");
        }
        await this.#gate.claim(origin);
        return new Uint8Array(0);
      }
      case SshAbout.LOGIN:
        this.#gate.login(origin);
        return new Uint8Array(0);
      default:
        throw new ProtocolError("unexpected", "The share does not know what it was asked.");
    }
  }

  /** What a share reaches, with its SSH server behind the gate. */
  guard(reach: Reach): Reach {
    return {
      forLink: (origin) => {
        const own = reach.forLink?.(origin) ?? reach;
        return {
          connect: (target, signal) =>
            isSshTarget(target) ? this.#gate.connect(origin, signal) : own.connect(target, signal),
          openFlow: (target, receive, closed) => own.openFlow(target, receive, closed),
        };
      },
      connect: (target, signal) => reach.connect(target, signal),
      openFlow: (target, receive, closed) => reach.openFlow(target, receive, closed),
    };
  }

  /** True for addresses that may be reached through the gate only: with one login, nobody goes round it. */
  isReserved(address: string, port: number): boolean {
    return this.#parts.once && this.#parts.landing.isServer(address, port);
  }

  /** What the owner asks from another terminal. */
  readonly owner: OwnerHandler = (request) => {
    switch (request["do"]) {
      case "sessions":
        return this.#gate.sessions.map(({ origin, ...rest }) => ({
          ...rest,
          device: origin.device,
          from: origin.from,
        }));
      case "kick": {
        const session = String(request["session"]);
        if (this.#gate.kick(session)) return null;
        throw new SshError("ssh-session-unknown", `There is no login ${session} to this share.`, {
          hint: "Without a login, `spanway kick NAME` lists those that there are.",
        });
      }
      default:
        throw new ProtocolError("unexpected", "The running share does not know what it was asked.");
    }
  };

  /** Ends all logins and takes the key away. Idempotent; never rejects. */
  async end(): Promise<void> {
    this.#over = true;
    this.#login = undefined;
    this.#gate.close();
    await this.#withdraw();
  }

  #current(): Login {
    if (this.#login !== undefined) return this.#login;
    if (this.#gate.used) {
      throw new ServiceError("ssh-used", "The one login of this share has been used.", {
        hint: "Ask its owner to share it again with --ssh-once.",
      });
    }
    throw new LinkError("link-closed", "The share is ending.");
  }

  async #withdraw(): Promise<void> {
    const { landing, report } = this.#parts;
    try {
      await landing.withdraw();
    } catch (error) {
      report.sshTrouble(
        `The key could not be taken away from ${landing.label}: ${errorMessage(error)}`,
        "It expires with the share. The next `spanway share --ssh` tries again.",
      );
    }
  }
}
