/** What `npm run build` makes for workerd without spanway around it is a whole service. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { findWorkerd } from "../../worker/host/find_workerd.ts";
import { answerOf, untilAnswer } from "../support/life.ts";
import { TestOrigin } from "../support/origin.ts";
import { startShare } from "../support/spanway.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const CONFIG = join(ROOT, "dist/workerd/config.capnp");

/** workerd as somebody would start it by hand, with no variable of ours but those given. */
async function startPlain(objects: string, port: number, env: Record<string, string>) {
  const args = ["serve", "--control-fd=3", `-dobjects=${objects}`, `-shttp=127.0.0.1:${port}`, CONFIG];
  const child = spawn(findWorkerd(), args, { stdio: ["ignore", "inherit", "inherit", "pipe"], env });
  const exited = once(child, "exit");
  const [line] = await once(createInterface({ input: child.stdio[3] as Readable }), "line") as [string];
  return {
    port: (JSON.parse(line) as { port: number }).port,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

Deno.test("plain workerd with the built configuration takes shares, and still knows them after a kill", async () => {
  execFileSync("node", [join(ROOT, "scripts/build.js")]);
  const objects = mkdtempSync(join(tmpdir(), "spanway-plain-"));
  const env = { PATH: process.env.PATH ?? "", SPANWAY_DOMAIN: "localhost" };
  const origin = await TestOrigin.start();
  origin.server.removeAllListeners("request");
  origin.server.on("request", (_req, res) => res.end("hello"));
  try {
    let port: number;
    let ended: { host: string; port: number };
    await using kept = await (async () => {
      await using workerd = await startPlain(objects, 0, env);
      ({ port } = workerd);
      const relay = { url: `http://localhost:${port}` };
      const share = await startShare(origin.port, { relay });
      assert.equal(new URL(share.url).host, `${share.name}.localhost:${port}`);
      assert.equal(await answerOf(share), "200");
      const other = await startShare(origin.port, { relay });
      await other.stop();
      ended = { host: other.host, port };
      assert.equal(await answerOf(ended), "410 share-ended");
      return share;
    })();
    await using _again = await startPlain(objects, port!, env);
    await untilAnswer(kept, "200");
    assert.equal(await answerOf(ended!), "410 share-ended");
  } finally {
    await origin.close();
    rmSync(objects, { recursive: true, maxRetries: 5 });
  }
});
