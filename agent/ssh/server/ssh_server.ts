/**
 * The SSH server of a share on a machine that has none: shells, commands, file transfers and forwarded ports, for whoever
 * has the key. It listens nowhere; the share's link hands it each connection.
 */
import { SSH_LOGIN_GRACE_MS, SSH_SESSIONS_MAX } from "../../../shared/limits.ts";
import type { TcpEnd } from "../../../shared/link/ends.ts";
import { StreamEnd } from "../../net/stream_end.ts";
import { Connection } from "./connection.ts";
import { duplexPair } from "./duplex_pair.ts";
import { publicHostKey } from "./host_key.ts";

export { makeHostKey } from "./host_key.ts";

export interface SshServerOptions {
  /** Private host key, OpenSSH PEM, unencrypted (ed25519). */
  readonly hostKey: string;
  /** Decides on each login by public key; `publicKey` is the SSH wire blob. Asked when the signature is verified too. */
  readonly authorized: (publicKey: Uint8Array) => boolean;
  /** Environment of shells and commands, complete: nothing else is inherited. */
  readonly env: Readonly<Record<string, string>>;
  /** The login shell, absolute path. */
  readonly shell: string;
  /** Where sessions start. */
  readonly home: string;
  /** Who has not logged in after this is cut off; SSH_LOGIN_GRACE_MS by default. */
  readonly loginGraceMs?: number;
}

export interface SshConnectionHooks {
  /** Logged in as this user name (any name is taken; all are this account). Called at most once. */
  readonly login: (user: string) => void;
}

export class SshServer {
  /** Public host key as in known_hosts: `ssh-ed25519 AAAA...` */
  readonly hostKey: string;
  readonly #options: SshServerOptions;
  readonly #connections = new Set<Connection>();
  #closed = false;

  /** @throws {Error} the host key is none */
  constructor(options: SshServerOptions) {
    this.#options = options;
    this.hostKey = publicHostKey(options.hostKey);
  }

  /**
   * A new connection: the local end for the link. Beyond SSH_SESSIONS_MAX at once, or once the server is closed, it is
   * one that has just broken.
   */
  connect(hooks: SshConnectionHooks): TcpEnd {
    const [near, far] = duplexPair();
    const end = new StreamEnd({
      input: far,
      output: far,
      doubtEnds: false,
      breakOff: () => far.destroy(),
      // What was written last is still delivered; the server reads to the end.
      giveUp: (ended) => {
        if (ended && !far.writableFinished) far.once("finish", () => far.destroy());
        else far.destroy();
      },
    });
    if (this.#closed || this.#connections.size >= SSH_SESSIONS_MAX) {
      near.on("error", () => {});
      near.destroy();
      return end;
    }
    const { hostKey, authorized, env, shell, home, loginGraceMs = SSH_LOGIN_GRACE_MS } = this.#options;
    const connection = new Connection(near, {
      account: { env, shell, home },
      hostKey,
      authorized,
      loginGraceMs,
      login: hooks.login,
      closed: () => this.#connections.delete(connection),
    });
    this.#connections.add(connection);
    return end;
  }

  /** Ends all connections and what they run, and takes no new ones. Idempotent. */
  close(): void {
    this.#closed = true;
    for (const connection of [...this.#connections]) connection.cut();
  }
}
