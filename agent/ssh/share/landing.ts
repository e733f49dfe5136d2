import type { TcpEnd } from "../../../shared/link/ends.ts";

/** The key of a share's login. The private half is needed for the trial login only. */
export interface NewKey {
  /** As in authorized_keys, without a comment. */
  readonly publicKey: string;
  /** OpenSSH PEM, encrypted with the password. */
  readonly privateKey: string;
  readonly password: string;
}

/** For whom a key is let in. */
export interface Admission {
  /** Name of the share. */
  readonly name: string;
  readonly expiresInMs: number;
}

/** What logins of a share lead to. */
export interface Landing {
  /** For people, such as `the account me on this machine`. */
  readonly label: string;
  /** Whom to log in as. */
  readonly user: string;
  /**
   * Lets the key in, and makes sure that it does get in.
   * @returns what the SSH server proves itself with, as in known_hosts
   * @throws {SshError}
   */
  admit(key: NewKey, admission: Admission, signal: AbortSignal): Promise<readonly string[]>;
  /** Keeps the key out again until {@link letIn}. @throws {SshError} */
  hold(): Promise<void>;
  /** Lets a key in that is held, for so many milliseconds. @throws {SshError} */
  letIn(ms: number): Promise<void>;
  /** A connection to the SSH server; `loggedIn` is called where this side knows. @throws {LinkError} */
  connect(signal: AbortSignal, loggedIn: () => void): Promise<TcpEnd>;
  /** Nobody gets in with the key any more; who is in stays. Idempotent. @throws {SshError} */
  withdraw(): Promise<void>;
  /** True for an address of the SSH server itself. */
  isServer(address: string, port: number): boolean;
}
