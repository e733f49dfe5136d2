/**
 * Who gets through to a share's SSH server, and who is there now. Pure: clock, identifiers and the world are effects.
 *
 * Where only one login is allowed:
 *
 *     free --claim--> claiming --the service agrees--> claimed --login--> used
 *      ^                 |                                |
 *      +--it could not--+        nobody logs in in time, or too many tries --> used
 *
 * Whether a connection has logged in is told by the built-in server, or by the connecting side. It may keep silent about
 * it, so a connection counts as a login also by how long it lasts and how much it carries.
 */
import { LinkError, ServiceError } from "../../../shared/errors.ts";
import {
  SSH_LOGIN_GRACE_MS,
  SSH_LOGIN_SURE_BYTES,
  SSH_LOGINS_PER_DEVICE_MAX,
  SSH_ONCE_LOGIN_MS,
  SSH_ONCE_TRIES_MAX,
  SSH_SESSIONS_MAX,
} from "../../../shared/limits.ts";
import type { LinkOrigin, TcpEnd } from "../../../shared/link/ends.ts";
import { WatchedEnd } from "./watched_end.ts";

/** A connection to the SSH server, for the owner to see. */
export interface SshSession {
  /** By this it can be ended; short, unique within the share. */
  readonly session: string;
  readonly origin: LinkOrigin;
  readonly loggedIn: boolean;
  /** Since it was opened, in milliseconds. */
  readonly ms: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** Something happened to a connection. `kicked`: the owner ended it. */
export interface SshSessionEvent extends SshSession {
  readonly state: "open" | "login" | "closed";
  readonly kicked: boolean;
}

/** What the gate does to the world. */
export interface LoginGateEffects {
  /** Milliseconds of a clock that only goes forward. */
  now(): number;
  later(ms: number, action: () => void): void;
  /** A new short name for a session. */
  sessionName(): string;
  /** Connects to the SSH server; `loggedIn` is called where that is known here. @throws {LinkError} */
  connect(signal: AbortSignal, loggedIn: () => void): Promise<TcpEnd>;
  /** Takes the only login for this device at the service. @throws {ServiceError} `ssh-used` and others */
  claim(device: string): Promise<void>;
  /** The key is good for nobody any more. Called once. */
  withdraw(): void;
  tell(event: SshSessionEvent): void;
}

interface Session {
  readonly name: string;
  readonly origin: LinkOrigin;
  readonly openedAt: number;
  end: WatchedEnd;
  loggedIn: boolean;
  kicked: boolean;
}

type Once =
  | { readonly state: "free" }
  | { readonly state: "claiming"; readonly device: string; readonly outcome: Promise<void> }
  | { readonly state: "claimed"; readonly device: string; readonly until: number; tries: number }
  | { readonly state: "used" };

export class LoginGate {
  readonly #effects: LoginGateEffects;
  readonly #sessions = new Map<string, Session>();
  /** Undefined where everybody may log in as often as they like. */
  #once: Once | undefined;
  #connecting = 0;
  #closed = false;

  /** @param once only the first login gets through */
  constructor(once: boolean, effects: LoginGateEffects) {
    this.#effects = effects;
    this.#once = once ? { state: "free" } : undefined;
  }

  /** True once the only login is over for everybody else. */
  get used(): boolean {
    return this.#once?.state === "used";
  }

  /** The connections now, the oldest first. */
  get sessions(): readonly SshSession[] {
    return [...this.#sessions.values()].map((session) => this.#describe(session));
  }

  /**
   * Takes the only login for the device at the other end of a link, which has shown that it can use the key. Repeating it
   * changes nothing. Where logins are not counted there is nothing to take.
   * @throws {ServiceError} `ssh-used`; what the service says
   */
  async claim({ device }: LinkOrigin): Promise<void> {
    // Who comes second may find that the first one's claim failed, and that it is free again.
    while (this.#once?.state === "claiming") await this.#once.outcome.catch(() => {});
    const once = this.#once;
    if (once === undefined) return;
    if (once.state === "used") throw usedUp();
    if (once.state === "claimed") {
      if (once.device !== device) throw usedUp();
      return;
    }
    const outcome = this.#effects.claim(device);
    this.#once = { state: "claiming", device, outcome };
    try {
      await outcome;
    } catch (error) {
      const isUsed = error instanceof ServiceError && error.code === "ssh-used";
      if (isUsed) this.#useUp();
      else this.#once = { state: "free" };
      throw error;
    }
    const claimed: Once = { state: "claimed", device, until: this.#effects.now() + SSH_ONCE_LOGIN_MS, tries: 0 };
    this.#once = claimed;
    this.#effects.later(SSH_ONCE_LOGIN_MS, () => this.#settle());
  }

  /**
   * A connection to the SSH server, if this link may have one.
   * @throws {LinkError} `not-allowed`, `too-many-streams`, `link-closed`, and why the server cannot be reached
   */
  async connect(origin: LinkOrigin, signal: AbortSignal): Promise<TcpEnd> {
    if (this.#closed) throw new LinkError("link-closed", "The share has ended.");
    this.#admit(origin);
    this.#makeRoom(origin);
    this.#connecting++;
    let session: Session | undefined;
    let early = false;
    try {
      const end = await this.#effects.connect(signal, () => {
        if (session === undefined) early = true;
        else this.#loggedIn(session);
      });
      if (this.#closed || signal.aborted) {
        end.reset();
        throw new LinkError("link-closed", "The share has ended.");
      }
      session = this.#open(origin, end);
      if (early) this.#loggedIn(session);
      return session.end;
    } finally {
      this.#connecting--;
      if (session === undefined) this.#settle();
    }
  }

  /** The connecting side says that its newest connection has logged in. */
  login({ link }: LinkOrigin): void {
    const own = [...this.#sessions.values()].filter(({ origin }) => origin.link === link);
    const newest = own.at(-1);
    if (newest !== undefined) this.#loggedIn(newest);
  }

  /** Ends a connection. False when there is none of that name. */
  kick(name: string): boolean {
    const session = this.#sessions.get(name);
    if (session === undefined) return false;
    session.kicked = true;
    session.end.breakOff();
    return true;
  }

  /** Ends all connections; none is let through any more. Idempotent. */
  close(): void {
    this.#closed = true;
    for (const { end } of [...this.#sessions.values()]) end.breakOff();
  }

  #admit({ device }: LinkOrigin): void {
    const once = this.#once;
    if (once === undefined) return;
    const may = once.state === "claimed" && once.device === device && this.#sessions.size + this.#connecting === 0 &&
      once.tries < SSH_ONCE_TRIES_MAX;
    if (!may) throw new LinkError("not-allowed", "The one login of this share is not this one.");
    once.tries++;
  }

  #open(origin: LinkOrigin, end: TcpEnd): Session {
    const session: Session = {
      name: this.#effects.sessionName(),
      origin,
      openedAt: this.#effects.now(),
      end: new WatchedEnd(end, () => this.#over(session)),
      loggedIn: false,
      kicked: false,
    };
    this.#sessions.set(session.name, session);
    this.#tell("open", session);
    this.#effects.later(SSH_LOGIN_GRACE_MS, () => {
      if (this.#sessions.get(session.name) === session) this.#countAsLogin();
    });
    return session;
  }

  #over(session: Session): void {
    this.#sessions.delete(session.name);
    const { bytesIn, bytesOut } = session.end.bytes;
    if (session.loggedIn || Math.max(bytesIn, bytesOut) > SSH_LOGIN_SURE_BYTES) this.#countAsLogin();
    this.#tell("closed", session);
    this.#settle();
  }

  #loggedIn(session: Session): void {
    if (session.loggedIn || this.#sessions.get(session.name) !== session) return;
    session.loggedIn = true;
    this.#tell("login", session);
    this.#countAsLogin();
  }

  #countAsLogin(): void {
    if (this.#once !== undefined) this.#useUp();
  }

  /**
   * Nobody holds places without logging in: a device has only so many such connections, and when all places are taken the
   * oldest goes of whoever has most. @throws {LinkError} `too-many-streams`
   */
  #makeRoom({ device }: LinkOrigin): void {
    const idle = [...this.#sessions.values()].filter((session) => !this.#isIn(session));
    const of = (one: string) => idle.filter(({ origin }) => origin.device === one);
    if (of(device).length >= SSH_LOGINS_PER_DEVICE_MAX) throw tooMany();
    if (this.#sessions.size + this.#connecting < SSH_SESSIONS_MAX) return;
    const most = Math.max(...idle.map(({ origin }) => of(origin.device).length));
    const victim = idle.find(({ origin }) => of(origin.device).length === most);
    if (victim === undefined) throw tooMany();
    victim.end.breakOff();
  }

  /** True for a connection that has logged in, as far as this side can tell: what an SSH server says before is little. */
  #isIn({ loggedIn, openedAt, end }: Session): boolean {
    return loggedIn || end.bytes.bytesOut > SSH_LOGIN_SURE_BYTES || this.#effects.now() - openedAt > SSH_LOGIN_GRACE_MS;
  }

  /** The only login is over for whoever has claimed it and let the time pass, or tried too often. */
  #settle(): void {
    const once = this.#once;
    if (once?.state !== "claimed" || this.#sessions.size + this.#connecting > 0) return;
    if (once.tries >= SSH_ONCE_TRIES_MAX || this.#effects.now() >= once.until) this.#useUp();
  }

  #useUp(): void {
    if (this.used) return;
    this.#once = { state: "used" };
    this.#effects.withdraw();
  }

  #describe({ name, origin, openedAt, loggedIn, end }: Session): SshSession {
    return { session: name, origin, loggedIn, ms: Math.round(this.#effects.now() - openedAt), ...end.bytes };
  }

  #tell(state: SshSessionEvent["state"], session: Session): void {
    this.#effects.tell({ ...this.#describe(session), state, kicked: session.kicked });
  }
}

function tooMany(): LinkError {
  return new LinkError("too-many-streams", "Too many people are logging in.");
}

function usedUp(): ServiceError {
  return new ServiceError("ssh-used", "The one login of this share has been used.", {
    hint: "Ask its owner to share it again with --ssh-once.",
  });
}
