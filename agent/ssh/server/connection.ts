/** One connection to the server, from its first byte to the end of everything that it started. */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import ssh2, { type AuthContext, type Connection as SshClient } from "ssh2";
import {
  SSH_GOODBYE_MS,
  SSH_INPUT_MAX_BYTES,
  SSH_OUTPUT_MAX_BYTES,
  SSH_USER_MAX_CHARS,
} from "../../../shared/limits.ts";
import { Channels, takesPackets } from "./channels.ts";
import { Forwarding } from "./forwarding.ts";
import { Login } from "./login.ts";
import { Pace } from "./pace.ts";
import { type Account, Session } from "./session.ts";

export interface ConnectionOptions {
  readonly account: Account;
  /** Private, OpenSSH PEM, unencrypted. */
  readonly hostKey: string;
  readonly authorized: (publicKey: Uint8Array) => boolean;
  readonly loginGraceMs: number;
  readonly login: (user: string) => void;
  /** Called once, when the connection is over. */
  readonly closed: () => void;
}

/** What ssh-audit finds nothing wrong with, as far as ssh2 has it. */
const ALGORITHMS = {
  kex: ["curve25519-sha256", "curve25519-sha256@libssh.org"],
  serverHostKey: ["ssh-ed25519"],
  cipher: ["chacha20-poly1305@openssh.com", "aes256-gcm@openssh.com", "aes128-gcm@openssh.com"],
  hmac: ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com"],
  compress: ["none"],
} as const;

/** The longest that a timer can wait, as ssh2 takes 0 for its own default. */
const NEVER_MS = 2 ** 31 - 1;

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #socket: Duplex;
  readonly #channels = new Channels();
  readonly #pace: Pace;
  readonly #login: Login;
  readonly #grace: ReturnType<typeof setTimeout>;
  #forwarding: Forwarding | undefined;
  #over = false;

  /** @param socket a new stream, from which nobody has read */
  constructor(socket: Duplex, options: ConnectionOptions) {
    this.#options = options;
    this.#socket = socket;
    this.#pace = new Pace(socket);
    this.#login = new Login(options.authorized);
    this.#grace = setTimeout(() => this.cut(), options.loginGraceMs);
    socket.on("error", () => this.#finish());
    socket.on("close", () => this.#finish());
    socket.on("end", () => this.#finish());
    // The server has said its last.
    socket.on("finish", () => this.cut());
    // A server for each connection: ssh2 tells of one only after its first line, and not on which stream it is.
    const server = new ssh2.Server({
      hostKeys: [options.hostKey],
      // Its types want lists that can be changed.
      algorithms: ALGORITHMS as unknown as ssh2.Algorithms,
      ident: "spanway",
      // Whether the other side is there is the link's business: it may be moving to another network.
      keepaliveInterval: NEVER_MS,
    }, (client) => this.#serve(client));
    server.on("error", () => this.cut());
    server.injectSocket(socket as unknown as Socket);
    socket.on("data", () => this.#checkBounds());
  }

  /** Ends it at once. Idempotent. */
  cut(): void {
    this.#finish();
    this.#socket.destroy();
  }

  #serve(client: SshClient): void {
    client.on("error", () => this.#finish());
    client.on("authentication", (context) => this.#authenticate(client, context));
    client.on("ready", () => {
      clearTimeout(this.#grace);
      this.#forwarding = new Forwarding(client, this.#channels, this.#pace);
      client.on("session", (accept, reject) => {
        const place = this.#channels.open("program");
        if (place === undefined) return reject();
        const session = accept();
        if (!takesPackets(session)) return this.cut();
        // One that was for nothing keeps its place: ssh2 keeps it as well.
        session.once("close", () => place.reader === undefined || place.over());
        new Session(session, this.#options.account, this.#pace, place);
      });
    });
  }

  #authenticate(client: SshClient, context: AuthContext): void {
    switch (this.#login.judge(context)) {
      case "in":
        context.accept();
        // A key that was only asked about is not in yet.
        if (context.method === "publickey" && context.signature !== undefined) {
          this.#options.login(context.username.slice(0, SSH_USER_MAX_CHARS));
        }
        break;
      case "refused":
        context.reject(["publickey"]);
        break;
      case "enough":
        client.end();
        this.#finish();
    }
  }

  /** ssh2 answers whatever it is asked, and takes whatever it is sent. */
  #checkBounds(): void {
    if (this.#socket.writableLength > SSH_OUTPUT_MAX_BYTES || this.#channels.overrun(SSH_INPUT_MAX_BYTES)) this.cut();
  }

  /** Ends what the connection has started. What was written last may still be read for a while. */
  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#grace);
    this.#forwarding?.close();
    this.#channels.close();
    this.#options.closed();
    const socket = this.#socket;
    if (socket.destroyed) return;
    socket.end();
    const impatient = setTimeout(() => socket.destroy(), SSH_GOODBYE_MS);
    socket.once("close", () => clearTimeout(impatient));
  }
}
