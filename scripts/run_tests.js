// @ts-check
/**
 * Runs every test, and sums them up in one closing line: those for Deno, then those that need Node itself, then once more
 * those of sharing, connecting and SSH against the Worker alone, without an edge.
 * Arguments are handed to `deno test` (paths, --filter); with any, only that is run, against the service that
 * SPANWAY_TEST_SERVICE names (`edge` or `workerd`).
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { findDeno } from "../agent/bin/runtime.js";

const root = fileURLToPath(new URL("../", import.meta.url));
const args = process.argv.slice(2);
const reports = mkdtempSync(join(tmpdir(), "spanway-tests-"));
const total = { passed: 0, failed: 0, skipped: 0 };
let broken = false;

const deno = findDeno();
if (deno === undefined) throw new Error("Deno is not installed; run npm install");
denoTests(args, "deno.xml");
if (args.length === 0) {
  const files = nodeTests(root);
  const reporters = ["--test-reporter=spec", "--test-reporter-destination=stdout"];
  const junit = ["--test-reporter=junit", `--test-reporter-destination=${join(reports, "node.xml")}`];
  run(process.execPath, ["--import", "tsx", "--test", ...reporters, ...junit, ...files], "node.xml");
  console.log("\nAgainst the Worker alone:");
  denoTests(testsOfServices(), "workerd.xml", { SPANWAY_TEST_SERVICE: "workerd" });
}
rmSync(reports, { recursive: true });
console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(broken || total.failed > 0 || total.passed === 0 ? 1 : 0);

/**
 * @param {readonly string[]} argv
 * @param {string} report
 * @param {Readonly<Record<string, string>>} [env]
 */
function denoTests(argv, report, env) {
  run(String(deno), ["test", "--quiet", "-A", `--junit-path=${join(reports, report)}`, ...argv], report, env);
}

/**
 * @param {string} program
 * @param {readonly string[]} argv
 * @param {string} report
 * @param {Readonly<Record<string, string>>} [env]
 */
function run(program, argv, report, env = {}) {
  const { status } = spawnSync(program, argv, { cwd: root, stdio: "inherit", env: { ...process.env, ...env } });
  if (status !== 0) broken = true;
  let text = "";
  try {
    text = readFileSync(join(reports, report), "utf8");
  } catch {
    console.error(`${program} left no report`);
    broken = true;
  }
  const cases = (text.match(/<testcase\b/g) ?? []).length;
  const failed = (text.match(/<(failure|error)\b/g) ?? []).length;
  const skipped = (text.match(/<skipped\b/g) ?? []).length;
  total.failed += failed;
  total.skipped += skipped;
  total.passed += cases - failed - skipped;
}

/** Paths of the tests that run against any service. */
function testsOfServices() {
  const files = readdirSync(join(root, "tests")).filter((name) => name.endsWith("_test.ts"));
  return [...files, "connect", "ssh"].map((name) => join("tests", name));
}

/**
 * Paths of the tests for Node, which end in `_nodetest.ts`.
 * @param {string} folder
 * @returns {string[]}
 */
function nodeTests(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name.startsWith(".") || entry.name === "node_modules" || entry.name === "dist") return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return nodeTests(path);
    return entry.name.endsWith("_nodetest.ts") ? [path] : [];
  });
}
