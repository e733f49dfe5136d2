import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SpanwayError } from "../../shared/errors.ts";
import { parseTarget, targetKey } from "./target.ts";

const server = (protocol: string | undefined, host: string, port: number) => ({
  kind: "server",
  protocol,
  host,
  port,
});

Deno.test("ports, hosts and URLs are read as the server they name", async () => {
  const expected: [string, ReturnType<typeof server>][] = [
    ["3000", server(undefined, "localhost", 3000)],
    ["65535", server(undefined, "localhost", 65535)],
    ["localhost:80", server(undefined, "localhost", 80)],
    ["App.Test:8080", server(undefined, "app.test", 8080)],
    ["192.168.1.7:8080", server(undefined, "192.168.1.7", 8080)],
    ["[::1]:3000", server(undefined, "::1", 3000)],
    ["http://localhost:3000", server("http:", "localhost", 3000)],
    ["http://localhost:3000/", server("http:", "localhost", 3000)],
    ["HTTPS://App.test", server("https:", "app.test", 443)],
    ["http://app.test", server("http:", "app.test", 80)],
    ["https://[fe80::1]:8443", server("https:", "fe80::1", 8443)],
  ];
  for (const [text, target] of expected) assert.deepEqual(await parseTarget(text), target, text);
});

Deno.test("an existing folder is read as a folder, a file or a missing one as a clear error", async () => {
  const dir = await mkdtemp(join(tmpdir(), "spanway-target-"));
  try {
    await writeFile(join(dir, "a.txt"), "");
    assert.deepEqual(await parseTarget(".", dir), { kind: "folder", path: dir });
    assert.deepEqual(await parseTarget(dir), { kind: "folder", path: dir });
    await assert.rejects(parseTarget("a.txt", dir), { code: "target-unsupported" });
    await assert.rejects(parseTarget("./b", dir), { code: "target-missing" });
  } finally {
    await rm(dir, { recursive: true });
  }
});

Deno.test("what is no target is refused with a next step", async () => {
  const expected: [string, string][] = [
    ["", "usage"],
    ["0", "usage"],
    ["65536", "usage"],
    ["localhost:99999", "usage"],
    ["[::1::]:3000", "usage"],
    ["example", "usage"],
    ["http://", "usage"],
    ["http://localhost:3000/admin", "usage"],
    ["http://localhost:3000/?a=1", "usage"],
    ["http://me:secret@localhost:3000", "usage"],
    ["ftp://localhost", "target-unsupported"],
    ["ws://localhost:3000", "target-unsupported"],
    ["file:///etc", "target-unsupported"],
  ];
  for (const [text, code] of expected) {
    await assert.rejects(parseTarget(text), (error) => {
      assert(error instanceof SpanwayError);
      assert.equal(error.code, code, text);
      assert(error.hint, text);
      assert.doesNotMatch(error.message + error.hint, /secret/);
      return true;
    });
  }
});

Deno.test("the same target has the same key, another one another", async () => {
  const keys = await Promise.all(["3000", "localhost:3000", "3001", "http://localhost:3000", "[::1]:3000"].map(
    async (text) => targetKey(await parseTarget(text)),
  ));
  assert.equal(keys[0], keys[1]);
  assert.equal(new Set(keys).size, 4);
});
