import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("./testing/stdio_program.ts", import.meta.url));
const command = `'${process.execPath}' run --quiet --no-config --unstable-net --allow-net --allow-env='SPANWAY_*'`;
/** As the launcher hands them over. */
const handedOver = "SPANWAY_STDIN_FD=4 SPANWAY_STDOUT_FD=5 exec";
const moved = "4<&0 5>&1 0</dev/null 1>&2";

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

function run(what: string, handOver = true): Child & { errors: () => string } {
  const line = handOver ? `${handedOver} ${command} ${program} ${what} ${moved}` : `exec ${command} ${program} ${what}`;
  const child = spawn("sh", ["-c", line], { stdio: ["pipe", "pipe", "pipe"] });
  let errors = "";
  child.stderr.on("data", (chunk) => errors += chunk);
  child.stdin.on("error", () => {});
  return Object.assign(child, { errors: () => errors });
}

async function all(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

for (const handOver of [true, false]) {
  const how = handOver ? "handed over" : "inherited";
  Deno.test(`pipes carry every byte both ways (${how})`, async () => {
    const child = run("echo", handOver);
    const sent = Buffer.alloc(8 * 2 ** 20, "0123456789abcdef\n");
    child.stdin.end(sent);
    const [got, [code]] = await Promise.all([all(child.stdout), once(child, "close")]);
    assert.equal(code, 0, child.errors());
    assert(got.equals(sent), `${got.length} bytes`);
    assert.equal(child.errors(), "");
  });

  Deno.test(`a reader who leaves is noticed (${how})`, async () => {
    const child = run("source", handOver);
    await once(child.stdout, "data");
    child.stdout.destroy();
    const [code] = await once(child, "close");
    assert.deepEqual([code, child.errors()], [1, "broken\n"]);
  });
}

Deno.test("half-close: the output ends while the input goes on", async () => {
  const child = run("sink");
  assert.equal(String(await all(child.stdout)), "bye");
  child.stdin.end(Buffer.alloc(2 ** 20));
  await once(child, "close");
  assert.deepEqual(child.errors(), `taken\nreceived ${2 ** 20}\n`);
});

Deno.test("an input that ends without a byte leaves the output whole, however late it is read", async () => {
  for (const kind of ["pipe", "socket"]) {
    // The child processes of Node and Deno get sockets; a shell's pipelines are pipes.
    const child = kind === "socket" ? run("late") : spawn("sh", [
      "-c",
      `true | ${handedOver.replace(" exec", "")} ${command} ${program} late ${moved} | (sleep 0.3; cat)`,
    ], { stdio: ["ignore", "pipe", "inherit"] });
    child.stdin?.end();
    if (kind === "socket") await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal((await all(child.stdout!)).length, 8 * 2 ** 20, kind);
  }
});

Deno.test("files can be both", async () => {
  const dir = await mkdtemp(join(tmpdir(), "spanway-stdio-"));
  try {
    const sent = Buffer.alloc(3 * 2 ** 20, "a line of a file\n");
    await writeFile(join(dir, "in"), sent);
    const line = `exec ${command} ${program} echo <'${dir}/in' >'${dir}/out'`;
    const child = spawn("sh", ["-c", line], { stdio: ["ignore", "ignore", "inherit"] });
    const [code] = await once(child, "close");
    assert.equal(code, 0);
    assert(sent.equals(await readFile(join(dir, "out"))));
  } finally {
    await rm(dir, { recursive: true });
  }
});
