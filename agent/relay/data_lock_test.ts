import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lockData } from "./data_lock.ts";

Deno.test("one service at a time uses a data directory, and a dead one holds nobody up", async () => {
  const dir = await mkdtemp(join(tmpdir(), "spanway-lock-"));
  try {
    const release = await lockData(dir);
    await assert.rejects(lockData(dir), { code: "data-in-use" });
    await release();
    await (await lockData(dir))();

    const dead = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = dead.addr;
    dead.close();
    for (const left of [JSON.stringify({ port, nonce: "x" }), "", "garbage", '{"port":-1,"nonce":"x"}']) {
      await writeFile(join(dir, "relay.lock"), left);
      await (await lockData(dir))();
    }
  } finally {
    await rm(dir, { recursive: true });
  }
});
