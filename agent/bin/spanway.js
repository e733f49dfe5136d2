#!/usr/bin/env node
// @ts-check
/**
 * The launcher: starts the agent on the Deno that came with the package, fenced in by permissions, and is transparent
 * to the terminal: same standard streams, same signals, same exit code.
 *
 * An IPC channel ties the two processes together. When the launcher is killed, even with -9, the agent sees the channel
 * close and ends. Signals travel on it as counts: a terminal sends Ctrl-C to both processes, `kill` only to this one,
 * and the agent takes the larger of both counts, so that none is lost and none counts twice.
 *
 * SPANWAY_RUNTIME=node, or a platform without Deno, runs the bundled agent in this very process.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { fileURLToPath, pathToFileURL } from "node:url";
import { scanArgv, sshPart } from "./argv.js";
import { handOverStdio } from "./hand_over.js";
import { homeDir } from "./home_dir.js";
import { permissionFlags, SETPRIV, SOCKET_LISTERS } from "./permissions.js";
import { makeRunDir, removeRunDir } from "./run_dir.js";
import { agentEntry, findDeno, findInPath, findWorkerd, packageRoot } from "./runtime.js";
import { surroundings } from "./surroundings.js";
import { tunPart } from "./tun_part.js";

/** How long an agent may outlive the first request to stop (it gives itself 5 s) and the second one. */
const KILL_AFTER_FIRST_MS = 8000;
const KILL_AFTER_SECOND_MS = 1500;
/** The parts of commands that have files or sockets which other programs of the same run must see. */
const NEED_RUN_DIR = new Set(["offer", "serve", "login", "inside"]);
const SIGNALS = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]);

const argv = process.argv.slice(2);
const home = homeDir(process.env, process.platform);
if (home === undefined) {
  fail("no home directory is known", "set SPANWAY_HOME to a directory where spanway may keep its key");
}
// The agent prints commands that must find the same directory when they are run elsewhere.
process.env.SPANWAY_HOME_GIVEN = process.env.SPANWAY_HOME ? "1" : "";
process.env.SPANWAY_HOME = home;

const line = scanArgv(argv);
/** What the command does beyond the network: one of them at most. */
const part = sshPart(line) ?? tunPart(line);
/** @type {string[]} */
let programs = [];
/** @type {string | undefined} */
let runDir;
/** @type {string | undefined} */
let libc;
delete process.env.SPANWAY_LAUNCHER;
delete process.env.SPANWAY_INSIDE;
if (part !== undefined) {
  try {
    if (NEED_RUN_DIR.has(part)) runDir = makeRunDir();
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error), "set TMPDIR to another directory, such as /tmp");
  }
  process.on("exit", () => runDir && removeRunDir(runDir));
  const around = surroundings(part, { runDir, launcher: fileURLToPath(import.meta.url) });
  programs = Object.values(around.programs);
  libc = around.tun?.libc;
  process.env.SPANWAY_LAUNCHER = JSON.stringify(around);
}

const wanted = process.env.SPANWAY_RUNTIME || "auto";
if (!["auto", "deno", "node"].includes(wanted)) {
  fail(`SPANWAY_RUNTIME is "${wanted}"`, "set it to deno or node, or leave it unset");
}
const deno = wanted === "node" ? undefined : findDeno();
if (deno !== undefined) await startDeno(deno);
else if (wanted === "deno") {
  fail("Deno was not found", "run npm install without --omit=optional, or set SPANWAY_RUNTIME=node");
} else await startNode();

/** @param {string} deno */
async function startDeno(deno) {
  const { command, values } = scanArgv(argv);
  if (command === "relay" || command === "up") await prepareService();
  const flags = permissionFlags(argv, {
    home: /** @type {string} */ (home),
    root: packageRoot,
    cwd: process.cwd(),
    tmp: tmpdir(),
    servicePrograms: servicePrograms(),
    socketLister: SOCKET_LISTERS[process.platform]?.find(existsSync),
    programs,
    runDir,
    libc,
  });
  const { stdio, env, release } = handOverStdio(command === "connect" && values.has("--stdio"));
  const child = spawn(deno, [
    "run",
    "--quiet",
    "--no-config",
    "--no-lock",
    "--no-remote",
    "--node-modules-dir=manual",
    "--unstable-net",
    ...flags,
    agentEntry("deno"),
    ...argv,
  ], {
    stdio,
    env: { ...runtimeEnv(), ...env },
    windowsHide: true,
  });

  child.on("spawn", release);
  child.on("error", (error) => {
    if (child.pid !== undefined) return; // a message that could not be sent any more
    // The binary is there but the system cannot run it (another libc, a mount without exec).
    if (wanted === "deno") fail(`Deno could not be started (${error.message})`, "set SPANWAY_RUNTIME=node");
    for (const signal of SIGNALS) process.removeAllListeners(signal);
    startNode();
  });

  /** @type {Record<string, number>} */
  const counts = {};
  let total = 0;
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      counts[signal] = (counts[signal] ?? 0) + 1;
      if (child.connected) child.send({ signals: counts }, () => {});
      // The command that runs in a namespace has the terminal: Ctrl-C is for it.
      if (part === "inside" && signal === "SIGINT") return;
      const patience = ++total === 1 ? KILL_AFTER_FIRST_MS : KILL_AFTER_SECOND_MS;
      if (total <= 2) setTimeout(() => child.kill("SIGKILL"), patience);
    });
  }

  child.on("exit", (code, signal) => {
    process.exit(code ?? 128 + constants.signals[signal ?? "SIGKILL"]);
  });
}

/** The environment of the runtime itself; what of it the agent may see is up to the fence. */
function runtimeEnv() {
  /** @type {NodeJS.ProcessEnv} */
  const env = { ...process.env, DENO_NO_UPDATE_CHECK: "1" };
  // Deno's own name for it: seeing the other one, its node:https wants a permission that cannot be granted by itself.
  if (env.NODE_EXTRA_CA_CERTS) {
    env.DENO_CERT ||= env.NODE_EXTRA_CA_CERTS;
    delete env.NODE_EXTRA_CA_CERTS;
  }
  return env;
}

async function startNode() {
  const entry = agentEntry("node");
  if (!existsSync(entry)) fail("the agent is not built for Node", "run npm run build first");
  await import(pathToFileURL(entry).href);
}

/** What the fence would keep from the agent: finding workerd's package, and bundling the Worker of a checkout. */
async function prepareService() {
  const workerd = process.env.SPANWAY_WORKERD || findWorkerd() || findInPath("workerd");
  if (workerd) process.env.SPANWAY_WORKERD = workerd;
  try {
    const { makeBundle } = await import("../../worker/host/make_bundle.js");
    makeBundle();
  } catch (error) {
    fail("the Worker could not be bundled", String(error));
  }
}

/** What `relay` and `up` may start: workerd, and what ties its life to ours (see worker/host/leash.ts). */
function servicePrograms() {
  const programs = [];
  if (process.env.SPANWAY_WORKERD) programs.push(process.env.SPANWAY_WORKERD);
  if (process.platform !== "win32") programs.push(SETPRIV.find(existsSync) ?? "/bin/sh");
  return programs;
}

/**
 * @param {string} what
 * @param {string} hint
 * @returns {never}
 */
function fail(what, hint) {
  process.stderr.write(`spanway: ${what}\n  ${hint}\n`);
  process.exit(1);
}
