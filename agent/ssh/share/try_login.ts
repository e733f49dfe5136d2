/**
 * A trial login at the SSH server that a share leads to, before anybody is told of it: it learns what the server proves
 * itself with, and whether it takes the new key. What keeps it from doing so is then seen by the owner, who can mend it.
 */
import ssh2 from "ssh2";
import { isPublicKey } from "../../../shared/ssh/messages.ts";
import { SshError } from "../../errors.ts";
import { SSH_PROBE_TIMEOUT_MS } from "../../../shared/limits.ts";
import { systemCode } from "../../home/files.ts";
import { hostPort } from "../../target/target.ts";

/** Where an SSH server is, as this machine reaches it, and whom to log in as. */
export interface SshServerAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
}

/**
 * Logs in with a key and leaves at once.
 * @param privateKey OpenSSH PEM, with its password
 * @returns the server's host key, as in known_hosts: `ssh-ed25519 AAAA...`
 * @throws {SshError} `ssh-unreachable`, `ssh-refused`
 */
export function tryLogin(
  { host, port, user }: SshServerAddress,
  { privateKey, password }: { readonly privateKey: string; readonly password: string },
  signal: AbortSignal,
): Promise<string> {
  const where = hostPort(host, port);
  return new Promise((resolve, reject) => {
    const client = new ssh2.Client();
    let hostKey: string | undefined;
    const end = (settle: () => void) => {
      signal.removeEventListener("abort", aborted);
      clearTimeout(timer);
      client.destroy();
      settle();
    };
    const refuse = (error: SshError) => end(() => reject(error));
    const silent = () =>
      refuse(
        new SshError("ssh-unreachable", `The SSH server at ${where} does not answer in time.`, {
          hint: "Check that it is an SSH server, or say which port it has: --ssh-port.",
        }),
      );
    const aborted = () => refuse(new SshError("ssh-unreachable", "The trial login was given up."));
    const timer = setTimeout(silent, SSH_PROBE_TIMEOUT_MS);
    signal.addEventListener("abort", aborted);
    if (signal.aborted) return aborted();
    client.on("ready", () => end(() => hostKey === undefined ? silent() : resolve(hostKey)));
    client.on("error", (error: Error & { level?: string }) => {
      if (error.level === "client-authentication") return refuse(refusedKey(user, where));
      if (systemCode(error) === "ECONNREFUSED") return refuse(nobodyThere(where));
      refuse(
        new SshError("ssh-unreachable", `No SSH server can be spoken to at ${where}.`, {
          hint: "Check that it is an SSH server, or say which port it has: --ssh-port.",
          cause: error,
        }),
      );
    });
    client.on("close", () =>
      refuse(
        new SshError("ssh-unreachable", `The SSH server at ${where} closed the connection.`, {
          hint: "Look into its log: it may allow this machine no connections, or too few.",
        }),
      ));
    client.connect({
      host,
      port,
      username: user,
      privateKey,
      passphrase: password,
      authHandler: ["publickey"],
      // Kinds that need no explanation come first: the one that is used is the one that is vouched for.
      algorithms: { serverHostKey: ["ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256"] },
      hostVerifier: (key: Uint8Array) => {
        hostKey = publicKeyText(key);
        return hostKey !== undefined;
      },
      readyTimeout: SSH_PROBE_TIMEOUT_MS,
    });
  });
}

/** A key in its wire form (RFC 4253, section 6.6) as one line of text; undefined when it is none. */
export function publicKeyText(key: Uint8Array): string | undefined {
  if (key.length < 4) return undefined;
  const length = new DataView(key.buffer, key.byteOffset, key.length).getUint32(0);
  if (length > 64 || 4 + length > key.length) return undefined;
  const kind = new TextDecoder().decode(key.subarray(4, 4 + length));
  const text = `${kind} ${btoa(String.fromCharCode(...key))}`;
  return isPublicKey(text) ? text : undefined;
}

function nobodyThere(where: string): SshError {
  return new SshError("ssh-unreachable", `No SSH server listens at ${where}.`, {
    hint:
      "Start it (such as `sudo systemctl start ssh`), say which port it has with --ssh-port, or let spanway bring " +
      "one: --ssh-server.",
  });
}

function refusedKey(user: string, where: string): SshError {
  return new SshError("ssh-refused", `The SSH server at ${where} does not let ${user} in with the new key.`, {
    hint: "Its log says why. Often: PubkeyAuthentication, AllowUsers or AuthorizedKeysFile in sshd_config, or a home " +
      "directory that others may write to. --ssh-server needs no sshd.",
  });
}
