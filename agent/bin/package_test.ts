import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cp, mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

function run(command: string, args: readonly string[], options: { cwd?: string; env?: Record<string, string> } = {}) {
  const { cwd, env } = options;
  return spawnSync(command, args, {
    encoding: "utf8",
    env: { ...process.env, ...env },
    shell: process.platform === "win32",
    ...(cwd === undefined ? {} : { cwd }),
  });
}

Deno.test("the published package holds no TypeScript, and its agent runs on Deno and on Node", async () => {
  const built = run("node", [join(root, "scripts", "build.js")]);
  assert.equal(built.status, 0, built.stderr);
  const packed = run("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: root });
  const files = (JSON.parse(packed.stdout)[0].files as { path: string }[]).map(({ path }) => path);
  for (
    const path of [
      "agent/bin/spanway.js",
      "dist/agent.js",
      "dist/worker.js",
      "dist/workerd/config.capnp",
      "package.json",
    ]
  ) {
    assert(files.includes(path), path);
  }
  assert.deepEqual(files.filter((path) => /\.ts$|test/.test(path)), []);

  const dir = await mkdtemp(join(tmpdir(), "spanway-package-"));
  try {
    const modules = join(dir, "node_modules");
    for (const path of files) await cp(join(root, path), join(modules, "spanway", path));
    for (const name of await readdir(join(root, "node_modules"))) {
      await symlink(join(root, "node_modules", name), join(modules, name), "junction");
    }
    const launcher = join(modules, "spanway", "agent", "bin", "spanway.js");
    const fingerprints = ["deno", "node"].map((runtime) => {
      const env = { SPANWAY_RUNTIME: runtime, SPANWAY_HOME: join(dir, "home") };
      const wrong = run("node", [launcher, "share", "--nmae"], { env });
      assert.equal(wrong.status, 2, wrong.stderr);
      const { status, stdout, stderr } = run("node", [launcher, "whoami", "--json"], { env });
      assert.equal(status, 0, stderr);
      return JSON.parse(stdout).fingerprint;
    });
    assert.equal(fingerprints[0], fingerprints[1]);
  } finally {
    await rm(dir, { recursive: true });
  }
});
