/** `spanway ssh-config`: what other programs need to log in to a share, with the password asked for by ssh itself. */
import { createHash } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { SHARE_TTL_MAX_MS, SSH_HOST_RECORD_MAX_BYTES, SSH_HOSTS_MAX } from "../../../shared/limits.ts";
import type { CommandContext } from "../../cli/context.ts";
import type { ConnectOptions, GlobalOptions } from "../../cli/options.ts";
import { sharePath } from "../../connect/share_path.ts";
import { SshError } from "../../errors.ts";
import { ensurePrivateDir, readText, replaceFile } from "../../home/files.ts";
import { launched } from "../../launched.ts";
import { findLogin } from "./open_login.ts";
import { hostBlock, knownHosts } from "./ssh_settings.ts";

export type SshConfigOptions = GlobalOptions & Pick<ConnectOptions, "share" | "resumeWindow" | "forget">;

/** When what lies beside it may go. */
const EXPIRY_FILE = "expires";

/**
 * Stores the encrypted key and the host keys of a share in the configuration directory, and prints a Host block that uses
 * them. What belongs to shares that are over is removed.
 * @throws {SpanwayError}
 */
export async function printSshConfig(options: SshConfigOptions, context: CommandContext): Promise<void> {
  const { home, output, signal } = context;
  const { relay, share: { name } } = options;
  const hostsDir = join(home.dir, "ssh", "hosts");
  await sweep(hostsDir);
  const path = await sharePath(options, home, { event() {}, remembersAnew() {} });
  try {
    if (!await path.controller.start(signal)) return;
    const { record, privateKey } = await findLogin(path.controller, path.api, name);
    if (record.once) {
      throw new SshError("ssh-refused", `${name} lets one login in, and programs make many.`, {
        hint: `Log in with: spanway connect --ssh ${name}`,
      });
    }
    const { expiresAt } = await path.api.edgeOf(name, signal);
    const keptUntil = Math.min(expiresAt, Date.now() + SHARE_TTL_MAX_MS);
    const dir = join(hostsDir, createHash("sha256").update(`${relay.origin}\n${name}`).digest("hex").slice(0, 16));
    await ensurePrivateDir(hostsDir);
    await ensurePrivateDir(dir);
    const files = { knownHosts: join(dir, "known_hosts"), identity: join(dir, "key"), agent: undefined };
    await replaceFile(join(dir, EXPIRY_FILE), `${keptUntil}\n`);
    await replaceFile(files.knownHosts, knownHosts(name, record.hostKeys));
    await replaceFile(files.identity, privateKey);
    const { node, launcher } = launched();
    const code = `${name}#${path.fingerprint}`;
    const proxy = [
      ...(isUsualHome() ? [] : ["env", `SPANWAY_HOME=${home.dir}`]),
      ...[node, launcher, "connect", code, "--relay", relay.origin, "--stdio", "ssh"],
    ];
    const config = hostBlock({ name, user: record.user, files, proxy });
    if (output.json) output.event("ssh-config", { name, user: record.user, config });
    else output.data(config);
  } finally {
    await path.close();
  }
}

/** True where a program that was started from elsewhere finds the same directory. */
function isUsualHome(env: NodeJS.ProcessEnv = process.env): boolean {
  return env.SPANWAY_HOME_GIVEN !== "1";
}

async function sweep(hostsDir: string): Promise<void> {
  const names = await readdir(hostsDir).catch(() => []);
  for (const name of names.slice(0, SSH_HOSTS_MAX)) {
    const dir = join(hostsDir, name);
    const text = await readText(join(dir, EXPIRY_FILE), SSH_HOST_RECORD_MAX_BYTES).catch(() => undefined);
    if (!(Number(text) > Date.now())) await rm(dir, { recursive: true, force: true });
  }
}
