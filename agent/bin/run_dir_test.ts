import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { makeRunDir, removeRunDir } from "./run_dir.js";

Deno.test("a run's directory is private, and what runs of the dead have left goes with the next", () => {
  const base = mkdtempSync(join(tmpdir(), "spanway-runs-"));
  try {
    const module = new URL("./run_dir.js", import.meta.url).href;
    const script = `import { makeRunDir } from ${JSON.stringify(module)};
      console.log(makeRunDir(${JSON.stringify(base)}));
      process.kill(process.pid, "SIGKILL");`;
    const killed = spawnSync("node", ["--input-type=module", "-e", script], { encoding: "utf8" });
    const left = killed.stdout.trim();
    assert.ok(existsSync(left), killed.stderr);
    writeFileSync(join(left, "agent"), "");
    // What is no directory of ours is left alone, and nothing is waited for.
    mkdirSync(join(base, "elsewhere"), { mode: 0o700 });
    execFileSync("mkfifo", [join(base, "elsewhere", "launcher.pid")]);
    symlinkSync(join(base, "elsewhere"), join(base, "spanway-run-link"));
    mkdirSync(join(base, "spanway-run-open"), { mode: 0o755 });
    writeFileSync(join(base, "spanway-run-open", "launcher.pid"), "0");
    const own = makeRunDir(base);
    assert.ok(!existsSync(left));
    const others = ["spanway-run-link", "spanway-run-open", "elsewhere"];
    for (const name of others) assert.ok(existsSync(join(base, name)), name);
    for (const name of others) rmSync(join(base, name), { recursive: true });
    if (process.platform !== "win32") assert.equal(statSync(own).mode & 0o777, 0o700);
    // Ours lives: the next one leaves it alone.
    const next = makeRunDir(base);
    assert.equal(readdirSync(base).length, 2);
    for (const dir of [own, next]) removeRunDir(dir);
    removeRunDir(next);
    assert.deepEqual(readdirSync(base), []);
  } finally {
    rmSync(base, { recursive: true });
  }
});
