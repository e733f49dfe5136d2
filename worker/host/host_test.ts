import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { WORKERD_STOP_TIMEOUT_MS } from "../../shared/limits.ts";
import { bundleWorker } from "./bundle.ts";
import { COMPATIBILITY_DATE, COMPATIBILITY_FLAGS, DURABLE_OBJECTS, workerdConfig } from "./capnp_config.ts";
import { findWorkerd } from "./find_workerd.ts";
import { spawnLeashed, spawnWatched } from "./leash.ts";
import { startWorkerd } from "./workerd.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const BINDINGS = { SPANWAY_SERVICE_KEY: "the-service-key-of-these-tests", SPANWAY_DOMAIN: "spanway.test" };

function folder(): string {
  return mkdtempSync(join(tmpdir(), "spanway-host-"));
}

/** A program of the test that stands in for workerd. */
function script(dir: string, text: string): string {
  const path = join(dir, "program");
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

Deno.test("workerd is told the same as Cloudflare: date, flags and Durable Objects of wrangler.toml", () => {
  const toml = readFileSync(join(ROOT, "wrangler.toml"), "utf8");
  assert.match(toml, new RegExp(`^compatibility_date = "${COMPATIBILITY_DATE}"$`, "m"));
  assert.deepEqual(JSON.parse(/^compatibility_flags = (.*)$/m.exec(toml)![1]!), COMPATIBILITY_FLAGS);
  const named = [...toml.matchAll(/^name = "([A-Z]+)"\nclass_name = "(\w+)"$/gm)].map((match) => match.slice(1, 3));
  assert.deepEqual(named, DURABLE_OBJECTS.map(({ binding, className }) => [binding, className]));
  const classes = JSON.parse(/^new_sqlite_classes = (.*)$/m.exec(toml)![1]!);
  assert.deepEqual(classes, DURABLE_OBJECTS.map(({ className }) => className));
});

Deno.test("whatever stands in a binding stays inside its text", () => {
  const value = `"), evil = (\\ \n\0 ü`;
  const config = workerdConfig({ module: "m", objectsDir: "/d", listen: "127.0.0.1:0", bindings: { A: value } });
  assert.ok(config.includes(String.raw`text = "\"), evil = (\\ \x0a\x00 \xc3\xbc" )`), config);
});

Deno.test("the bundle is made once and again when a source is younger", () => {
  const bundle = bundleWorker();
  const first = statSync(bundle).mtimeMs;
  assert.equal(bundleWorker(), bundle);
  assert.equal(statSync(bundle).mtimeMs, first);
  utimesSync(bundle, 1, 1);
  bundleWorker();
  assert.ok(statSync(bundle).mtimeMs > 1_000_000);
  assert.match(readFileSync(bundle, "utf8"), /from "cloudflare:workers"/);
});

Deno.test("the binary of the npm package is found, a wrong setting is told", () => {
  assert.match(findWorkerd(), /workerd/);
  Deno.env.set("SPANWAY_WORKERD", "/no/such/workerd");
  try {
    assert.throws(findWorkerd, { code: "workerd-missing" });
  } finally {
    Deno.env.delete("SPANWAY_WORKERD");
  }
});

Deno.test("the Worker is served from its start on, and from a new port after a kill", async () => {
  const dir = folder();
  const ports: number[] = [];
  const exits: string[] = [];
  const back = Promise.withResolvers<void>();
  const workerd = await startWorkerd({
    dataDir: dir,
    bindings: BINDINGS,
    onListening: ({ port }) => {
      ports.push(port);
      if (ports.length === 2) back.resolve();
    },
    onExit: ({ reason }) => {
      exits.push(reason);
      assert.equal(workerd.address(), undefined);
    },
  });
  try {
    const ask = async () => (await fetch(`http://127.0.0.1:${workerd.address()!.port}/health`)).text();
    assert.equal(await ask(), "ok\n");
    const config = join(dir, "workerd/config.capnp");
    assert.equal(statSync(config).mode & 0o777, 0o600);
    Deno.kill(workerd.pid()!, "SIGKILL");
    await back.promise;
    assert.equal(await ask(), "ok\n");
    assert.deepEqual(exits, ["signal SIGKILL"]);
    assert.equal(workerd.address()!.port, ports[1]);
    await workerd.stop();
    assert.equal(workerd.address(), undefined);
    assert.equal(existsSync(config), false);
    await workerd.stop();
  } finally {
    await workerd.stop();
    rmSync(dir, { recursive: true });
  }
});

Deno.test("a workerd that waits for a connection is not waited for when it is stopped", async () => {
  const dir = folder();
  const workerd = await startWorkerd({ dataDir: dir, bindings: BINDINGS });
  const silent = await Deno.connect({ hostname: "127.0.0.1", port: workerd.address()!.port });
  const begun = performance.now();
  await workerd.stop();
  assert.ok(performance.now() - begun < WORKERD_STOP_TIMEOUT_MS + 2000);
  silent.close();
  rmSync(dir, { recursive: true });
});

Deno.test("a workerd that does not start is an error with its last words", async () => {
  const dir = folder();
  const binary = script(dir, "echo the disk is full >&2\nexit 3");
  try {
    await assert.rejects(startWorkerd({ dataDir: dir, bindings: {}, binary }), (error: Error & { hint?: string }) => {
      assert.match(error.message, /exit code 3/);
      assert.match(error.hint!, /the disk is full/);
      return true;
    });
    await assert.rejects(startWorkerd({ dataDir: dir, bindings: {}, binary: "/no/such/program" }), {
      code: "workerd-failed",
    });
  } finally {
    rmSync(dir, { recursive: true });
  }
});

Deno.test("a workerd that keeps dying is started again with growing waits", async () => {
  const dir = folder();
  const binary = script(dir, `echo '{"event":"listen","socket":"http","port":1}' >&3\nexit 1`);
  const waits: number[] = [];
  const enough = Promise.withResolvers<void>();
  const workerd = await startWorkerd({
    dataDir: dir,
    bindings: {},
    binary,
    onExit: ({ restartInMs }) => {
      waits.push(restartInMs);
      if (waits.length === 4) enough.resolve();
    },
  });
  await enough.promise;
  await workerd.stop();
  assert.deepEqual(waits.slice(0, 4), [50, 100, 200, 400]);
  rmSync(dir, { recursive: true });
});

/** Resolves when a process is gone. */
async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      // A zombie whose new parent does not reap it is gone as well.
      if (/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))) return;
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

Deno.test({
  name: "no workerd outlives a parent that was killed, whichever way it is leashed",
  ignore: Deno.build.os !== "linux",
  async fn(t) {
    for (const leash of ["spawnLeashed", "spawnWatched"]) {
      await t.step(leash, async () => {
        const dir = folder();
        const parent = spawn(Deno.execPath(), ["run", "-A", "--unstable-net", "-"], {
          stdio: ["pipe", "pipe", "inherit"],
          cwd: ROOT,
        });
        parent.stdin!.end(`
          import { startWorkerd } from "./worker/host/workerd.ts";
          import { ${leash} as spawn } from "./worker/host/leash.ts";
          const dataDir = ${JSON.stringify(dir)};
          await startWorkerd({ dataDir, bindings: {}, spawn, onListening: ({ port }) => console.log(port) });
        `);
        const [port] = await once(createInterface({ input: parent.stdout as Readable }), "line") as [string];
        assert.equal((await fetch(`http://127.0.0.1:${port}/health`)).status, 200);
        const pid = Number((await find(dir))!);
        parent.kill("SIGKILL");
        await gone(pid);
        await assert.rejects(fetch(`http://127.0.0.1:${port}/health`));
        rmSync(dir, { recursive: true });
      });
    }
  },
});

/** The workerd that serves from `dir`, by its command line. */
async function find(dir: string): Promise<string | undefined> {
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const [program, ...args] = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0");
      if (program!.endsWith("workerd") && args.some((arg) => arg.startsWith(dir))) return name;
    } catch {
      // Processes may end while we look.
    }
  }
  return undefined;
}

Deno.test({
  name: "a watched program is stopped politely and tells how it ended",
  ignore: Deno.build.os === "windows",
  async fn() {
    const dir = folder();
    const ended = async (child: ChildProcess) => (await once(child, "exit"))[0];
    const failing = spawnWatched(script(dir, "exit 7"), []);
    assert.equal(await ended(failing), 7);
    failing.stdin?.destroy();
    const mark = join(dir, "stopped");
    const polite = spawnWatched(
      script(dir, `trap 'echo yes > "${mark}"; exit' TERM\necho up\nwhile :; do sleep 0.01; done`),
      [],
    );
    const exit = ended(polite);
    await once(polite.stdout!, "data");
    polite.kill("SIGTERM");
    await exit;
    assert.equal(readFileSync(mark, "utf8"), "yes\n");
    polite.stdin?.destroy();
    const direct = spawnLeashed("/bin/sh", ["-c", "echo $0 $1", "a", "b c"]);
    const [line] = await once(direct.stdout!, "data");
    assert.equal(String(line), "a b c\n");
    direct.stdin?.destroy();
    rmSync(dir, { recursive: true });
  },
});
