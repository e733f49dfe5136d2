import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import type { ResponseHead } from "../../shared/http/head.ts";
import { httpDisabledTarget } from "./http_disabled.ts";
import { openTarget } from "./open_target.ts";

/** What a visitor gets. */
async function visit(method: string, headers: readonly string[]) {
  const { handle } = await httpDisabledTarget(undefined);
  let head: ResponseHead | undefined;
  const body: Uint8Array[] = [];
  let ended = false;
  const sink = handle({ method, target: "/", headers: [...headers] }, {
    info: () => assert.fail("no interim head"),
    head: (answer) => head = answer,
    data: (chunk) => body.push(chunk) > 0,
    ready: () => Promise.resolve(),
    end: () => ended = true,
    abort: (code) => assert.fail(code),
  });
  // A body of any length is read and dropped.
  assert.equal(sink.data(new Uint8Array(1000)), undefined);
  sink.end([]);
  assert(ended && head !== undefined);
  const field = (name: string) => head?.headers[head.headers.indexOf(name) + 1];
  return { status: head.status, field, body: Buffer.concat(body).toString() };
}

Deno.test("browsers get a page, programs JSON, and HEAD no body", async () => {
  const page = await visit("GET", ["Host", "my-demo.example", "Accept", "text/html"]);
  assert.equal(page.status, 403);
  assert.match(page.body, /Not for browsers[^]*my-demo\.example/);
  assert.equal(page.field("content-length"), String(Buffer.byteLength(page.body)));
  assert.equal(page.field("x-spanway-problem"), "http-disabled");
  const json = await visit("POST", ["Host", "my-demo.example", "Accept", "*/*"]);
  assert.equal(JSON.parse(json.body).code, "http-disabled");
  const none = await visit("HEAD", ["Host", "my-demo.example"]);
  assert.deepEqual([none.status, none.body], [403, ""]);
});

Deno.test("a target says which host is meant and is not asked anything", async () => {
  let asked = 0;
  const server = createServer(() => asked++).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  const options = { hostHeader: { mode: "rewrite" }, insecureTarget: false, excluded: [], disableHttp: true } as const;
  const open = (target: string | undefined) => openTarget({ ...options, target });
  const target = await open(`127.0.0.1:${port}`);
  assert.deepEqual([target.host, target.listening, target.found], ["127.0.0.1", true, []]);
  assert.equal(asked, 0);
  server.close();
  assert.equal((await open("db.internal:5432")).host, "db.internal");
  assert.equal((await open(undefined)).host, undefined);
  assert.equal((await open(".")).host, undefined);
  await assert.rejects(open("nonsense"), { code: "usage" });
  const keys = await Promise.all([undefined, "3000", "db.internal:5432"].map(async (text) => (await open(text)).key));
  assert.equal(new Set(keys).size, 3);
});
