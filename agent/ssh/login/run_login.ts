/** `spanway connect --ssh`: a shell, or one command, on the other side. */
import { watch } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LinkError } from "../../../shared/errors.ts";
import { LOGIN_GOODBYE_MS } from "../../../shared/limits.ts";
import { claimText, encodeSshClaim, SshAbout } from "../../../shared/ssh/messages.ts";
import type { CommandContext } from "../../cli/context.ts";
import type { LoginOptions } from "../../cli/options.ts";
import { STREAM_FAILURES } from "../../connect/connect_report.ts";
import type { PathController } from "../../connect/path_controller.ts";
import { sharePath } from "../../connect/share_path.ts";
import { ExitCodeError, SshError } from "../../errors.ts";
import { launched } from "../../launched.ts";
import type { OpenedKey } from "../key/open_key.ts";
import { serveKey } from "./key_agent.ts";
import { askKeyOpen } from "./login_password.ts";
import { findLogin, type FoundLogin } from "./open_login.ts";
import { serveProxy } from "./proxy_socket.ts";
import { runSsh } from "./run_ssh.ts";
import { shellWord } from "../../shell/shell_word.ts";
import { hostBlock, knownHosts } from "./ssh_settings.ts";

/** A file that ssh makes when it is logged in. */
const LOGGED_IN = "logged-in";

/**
 * Logs in to a share.
 * @throws {ExitCodeError} with ssh's exit code, which is that of the remote command; {SpanwayError} when it does not
 * come to that
 */
export async function runLogin(options: LoginOptions, context: CommandContext): Promise<void> {
  const { home, output, signal } = context;
  const { name } = options.share;
  const { fingerprint: device } = await home.identity();
  const broken = new AbortController();
  let running = false;
  const path = await sharePath(options, home, {
    event(event) {
      if (event.event === "broken" && running) broken.abort(event.error);
      if (event.event !== "waiting") return;
      if (!running) return output.note(`${event.message} Trying again.`);
      output.warn(`${event.message} The login waits for a way back.`, "To give it up, type: Enter ~ .");
    },
    remembersAnew() {
      output.note("Another identity was remembered of this share; from now on it is the one of the code.");
    },
  });
  const { controller, api } = path;
  try {
    if (!await controller.start(signal)) return;
    if (path.firstUse) {
      output.warn(
        `${name} has the identity ${path.fingerprint}, which is seen for the first time and remembered from now on.`,
        `Compare it with what the owner sees, or use the whole code: ${name}#FINGERPRINT`,
      );
    }
    const login = await findLogin(controller, api, name);
    const key = await askKeyOpen(login.privateKey, options, signal);
    running = true;
    const proof = key.sign(claimText(path.fingerprint, device, login.record.publicKey));
    const code = await runOver(controller, login, { key, proof }, options, signal, broken.signal);
    output.event("closed", { code });
    if (code !== 0) throw new ExitCodeError(code);
  } finally {
    await path.close();
  }
}

/**
 * ssh over the link.
 * @param broken aborted when the link is over
 * @returns its exit code
 */
async function runOver(
  controller: PathController,
  { record }: FoundLogin,
  { key, proof }: { readonly key: OpenedKey; readonly proof: Uint8Array },
  { share: { name }, command, tty }: LoginOptions,
  signal: AbortSignal,
  broken: AbortSignal,
): Promise<number> {
  const { programs, node, runDir, pipe } = launched();
  const ssh = programs["ssh"];
  if (ssh === undefined || runDir === undefined) {
    throw new SshError("ssh-missing", "There is no ssh on this machine.", { hint: "Install the OpenSSH client." });
  }
  const inRunDir = (file: string) => join(runDir, file);
  const files = { knownHosts: inRunDir("known_hosts"), identity: inRunDir("key.pub"), agent: inRunDir("agent") };
  const stop = new AbortController();
  let failure: unknown;
  const fail = (error: unknown) => {
    failure ??= error;
    stop.abort();
  };
  let cut = false;
  const proxy = await serveProxy(inRunDir("link"), controller, async () => {
    // Only now: what kept ssh from connecting has not cost the login.
    if (record.once) await controller.ask(SshAbout.CLAIM, encodeSshClaim(proof)).catch(refused(fail));
  }, ({ code }, byFarSide) => {
    // When the link is over, what follows knows why.
    if (code === undefined || code === "link-closed") return;
    if (code === "reset") return void (cut = byFarSide);
    fail(new LinkError(code, `The connection to the SSH server of ${name} ended: ${STREAM_FAILURES[code]}`));
  });
  const opened = [
    proxy,
    await serveKey(files.agent, key),
    watchFor(runDir, LOGGED_IN, () => void controller.ask(SshAbout.LOGIN).catch(() => {})),
  ];
  const config = inRunDir("config");
  const block = hostBlock({
    name,
    user: record.user,
    files,
    proxy: [node, pipe, inRunDir("link")],
    afterLogin: `echo > ${shellWord(inRunDir(LOGGED_IN))}`,
  });
  const writing = { mode: 0o600 } as const;
  await writeFile(files.knownHosts, knownHosts(name, record.hostKeys), writing);
  await writeFile(files.identity, `${record.publicKey}\n`, writing);
  // No question is left that ssh could ask.
  await writeFile(config, `${block}  BatchMode yes\n  ControlMaster no\n  ControlPath none\n`, writing);
  let over: unknown;
  const keeping = controller.run(signal).catch((error) => {
    over = error;
    stop.abort();
  });
  try {
    const words = ["-F", config, ...(tty ? ["-tt"] : []), "--", name, ...command];
    const code = await runSsh(ssh, words, AbortSignal.any([signal, stop.signal, broken]));
    await atMost(LOGIN_GOODBYE_MS, proxy.idle());
    // A link that broke with its share: the service says in a moment whether the share has ended.
    if (broken.aborted && !signal.aborted) await atMost(LOGIN_GOODBYE_MS, keeping);
    const why = over ?? failure ?? (broken.aborted ? broken.reason : undefined);
    if (why !== undefined && !signal.aborted) throw why;
    if (cut && code === SSH_FAILED && !signal.aborted) {
      throw new LinkError("reset", `The login to ${name} was ended on the other side, by its owner or the SSH server.`);
    }
    return code;
  } finally {
    for (const each of opened) each.close();
  }
}

/** What ssh ends with when it is not the command that ended. */
const SSH_FAILED = 255;

async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  let timer;
  await Promise.race([work, new Promise((resolve) => timer = setTimeout(resolve, ms))]);
  clearTimeout(timer);
}

function refused(fail: (error: unknown) => void): (error: unknown) => never {
  return (error) => {
    fail(error);
    throw error;
  };
}

/** Calls `seen` once a file of this name has come to be in this directory. */
function watchFor(dir: string, file: string, seen: () => void): { close(): void } {
  const watcher = watch(dir, (_, name) => {
    if (name !== file) return;
    watcher.close();
    seen();
  });
  watcher.on("error", () => {});
  return watcher;
}
