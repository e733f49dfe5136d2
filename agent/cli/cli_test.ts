import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { VERSION } from "../version.ts";
import { buildProgram } from "./program.ts";

const launcher = fileURLToPath(new URL("../bin/spanway.js", import.meta.url));

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the real command line. */
function spanway(args: readonly string[], env: Record<string, string> = {}): Promise<Result> {
  const child = spawn("node", [launcher, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, SPANWAY_HOME: join(tmpdir(), "spanway-none"), ...env },
  });
  const result = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => result.stdout += chunk);
  child.stderr.on("data", (chunk) => result.stderr += chunk);
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, ...result })));
}

Deno.test("every command has its help, with examples", async () => {
  const commands = ["", ...buildProgram(() => Promise.resolve()).commands.map((command) => command.name())];
  assert(commands.length >= 7);
  await Promise.all(commands.map(async (command) => {
    const { code, stdout, stderr } = await spanway([command, "--help"].filter((word) => word !== ""));
    assert.equal(code, 0, stderr);
    assert.equal(stderr, "");
    assert.match(stdout, new RegExp(`^Usage: spanway ${command}`));
    assert((stdout.split("Examples:\n")[1]?.match(/\$ spanway /g) ?? []).length >= 2, command);
  }));
});

Deno.test("a wrong command line exits with 2, one line of what and one of what next", async () => {
  const wrong = [
    ["share", "--nmae", "x"],
    ["share", "--name", "X"],
    ["share", "--expires", "soon"],
    ["share", "1", "2"],
    ["share", "--ports", "22,ssh"],
    ["share", "--allow-host", "localhost"],
    ["up", "--resume-window", "25h"],
    ["--relay", "nowhere", "share"],
    ["relay", "--listen", "localhost:99999"],
    ["relay", "--tls-cert", "x.pem"],
    ["relay", "--public-url", "https://share.example.com"],
    ["relay", "--no-edge", "--tls-cert", "x.pem", "--tls-key", "y.pem"],
    ["relay", "--no-edge", "--region", "here"],
    ["edge", "--region", "here"],
    ["edge", "--region", "here", "--control", "http://localhost:1"],
    ["connect"],
    ["connect", "X"],
    ["connect", "mzuhvlp-ymk6xo3-epygfy5-h4oeaej"],
    ["connect", "my-demo", "--no-socks"],
    ["connect", "my-demo", "-L", "8080:my-dmeo.spanway:80"],
    ["share", "--disable-http", "--ports", "none"],
    ["connect", "my-demo#abc"],
    ["connect", "https://my-demo.elsewhere.example"],
    ["connect", "my-demo", "-L", "8080"],
    ["connect", "my-demo", "-L", "8080:80", "-L", "9090"],
    ["connect", "my-demo", "--socks", "localhost:99999"],
    ["connect", "my-demo", "--stdio", "sshd"],
    ["connect", "my-demo", "--", "ls"],
    ["connect", "my-demo", "--tty"],
    ["connect", "--ssh", "my-demo", "-L", "80:80"],
    ["share", "--ssh-port", "22"],
    ["share", "--ssh-server", "--target", "here"],
    ["share", "--ssh", "--target", "me@"],
    ["share", "--ssh", "--ssh-port", "ssh"],
    ["share", "--jurisdiction", "us"],
    ["ssh-config"],
    ["backup"],
    ["restore", "a", "b"],
    ["kick"],
    ["connect", "my-demo", "--socks-auth", "anna"],
    ["connect", "my-demo", "--socks-auth-file", "/no/such/file"],
    ["connect", "my-demo", "--resume-window", "soon"],
    ["completion", "tcsh"],
    ["nonsense"],
    [],
  ];
  await Promise.all(wrong.map(async (args) => {
    const { code, stdout, stderr } = await spanway(args, { SPANWAY_SERVICE_KEY: "" });
    assert.equal(code, 2, args.join(" "));
    assert.equal(stdout, "");
    assert.match(stderr, /^error: [^\n]+\n {2}[^\n]+\n$/, args.join(" "));
  }));
});

Deno.test("with --json a wrong command line is an event too", async () => {
  const { code, stdout } = await spanway(["share", "--json", "--nmae"]);
  assert.equal(code, 2);
  const { event, code: errorCode, hint } = JSON.parse(stdout);
  assert.deepEqual([event, errorCode, hint], ["error", "usage", "Did you mean --name?"]);
});

Deno.test("standard output belongs to the connection with --stdio, even for what is said of it", async () => {
  for (const args of [["connect", "my-demo", "--stdio", "sshd"], ["connect", "--json", "my-demo", "--stdio=0"]]) {
    const { code, stdout, stderr } = await spanway(args);
    assert.deepEqual([code, stdout], [2, ""]);
    assert.match(stderr, /port of the share/);
  }
});

Deno.test("SPANWAY_RELAY is checked like --relay", async () => {
  const { code, stderr } = await spanway(["whoami"], { SPANWAY_RELAY: "nowhere" });
  assert.equal(code, 2);
  assert.match(stderr, /"nowhere" is not the URL of a service/);
});

Deno.test("--version says the version of the package", async () => {
  assert.equal((await spanway(["--version"])).stdout, `${VERSION}\n`);
});

Deno.test("colours: none into a pipe, none with NO_COLOR, some with FORCE_COLOR", async () => {
  const [pipe, none, some] = await Promise.all([
    spanway(["nonsense"]),
    spanway(["nonsense"], { NO_COLOR: "1", FORCE_COLOR: "1" }),
    spanway(["nonsense"], { NO_COLOR: "", FORCE_COLOR: "1" }),
  ]);
  assert(!pipe.stderr.includes("\x1b"));
  assert(!none.stderr.includes("\x1b"));
  assert(some.stderr.includes("\x1b[31merror:"));
});

Deno.test("whoami makes the key in SPANWAY_HOME, and tells the same key again", async () => {
  const dir = await mkdtemp(join(tmpdir(), "spanway-cli-"));
  const env = { SPANWAY_HOME: join(dir, "home, with comma") };
  try {
    const first = JSON.parse((await spanway(["whoami", "--json"], env)).stdout);
    assert.equal(first.event, "identity");
    assert.equal(first.keyFile, join(env.SPANWAY_HOME, "identity.pem"));
    const { stdout } = await spanway(["whoami"], env);
    assert(stdout.includes(first.fingerprint));
    await writeFile(first.keyFile, "broken");
    const broken = await spanway(["whoami", "--json"], env);
    assert.equal(broken.code, 1);
    assert.equal(JSON.parse(broken.stdout).code, "key-corrupted");
  } finally {
    await rm(dir, { recursive: true });
  }
});

Deno.test("a closed pipe ends nothing with an error", async () => {
  const child = spawn("sh", ["-c", `node '${launcher}' --help | true`], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (chunk) => stderr += chunk);
  await new Promise((resolve) => child.on("close", resolve));
  assert.equal(stderr, "");
});
