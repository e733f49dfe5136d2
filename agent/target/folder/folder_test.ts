import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createFolderListener } from "./folder.ts";

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Place {
  readonly root: string;
  readonly outside: string;
  get(path: string, headers?: Record<string, string>, method?: string): Promise<Answer>;
}

/** A folder with a secret beside it, served; `path` goes into the request line as it is. */
async function withFolder(work: (place: Place) => Promise<void>): Promise<void> {
  const top = await mkdtemp(join(tmpdir(), "spanway-folder-"));
  const root = join(top, "public");
  const outside = join(top, "secret");
  await mkdir(join(root, "sub"), { recursive: true });
  await mkdir(join(root, "with index"));
  await mkdir(join(root, ".git"));
  await mkdir(join(root, "keys"));
  await mkdir(outside);
  await mkdir(join(top, "public-too"));
  await Promise.all([
    writeFile(join(root, "hello.txt"), "hello, world"),
    writeFile(join(root, "app.js"), "export {}"),
    writeFile(join(root, "10.txt"), "ten"),
    writeFile(join(root, "2.txt"), "two"),
    writeFile(join(root, "späte Grüße & <b>.html"), "<p>hi"),
    writeFile(join(root, ".env"), "TOKEN=top-secret"),
    writeFile(join(root, ".git", "config"), "top-secret"),
    writeFile(join(root, "keys", "identity.pem"), "top-secret"),
    writeFile(join(root, "with index", "index.html"), "<h1>index</h1>"),
    writeFile(join(outside, "secret.txt"), "top-secret"),
    writeFile(join(top, "public-too", "secret.txt"), "top-secret"),
    symlink(join(outside, "secret.txt"), join(root, "link.txt")),
    symlink(outside, join(root, "linked")),
    symlink("../../secret/secret.txt", join(root, "sub", "relative.txt")),
    symlink(".env", join(root, "env.txt")),
    symlink("hello.txt", join(root, "inside.txt")),
    symlink("nowhere", join(root, "dangling.txt")),
  ]);
  const server = createServer(createFolderListener(root, { excluded: [join(root, "keys")] }));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const get = (path: string, headers: Record<string, string> = {}, method = "GET") =>
    new Promise<Answer>((resolve, reject) => {
      request({ port, host: "127.0.0.1", path, method, headers, agent: false }, (res) => {
        let body = "";
        res.setEncoding("utf8").on("data", (chunk) => body += chunk).on("error", reject);
        res.on("end", () => resolve({ status: res.statusCode ?? 0, headers: res.headers, body }));
      }).on("error", reject).end();
    });
  try {
    await work({ root, outside, get });
  } finally {
    await new Promise((resolve) => server.close(resolve));
    await rm(top, { recursive: true, force: true });
  }
}

Deno.test("a file comes with its type, its length and a validator, and browsers ask each time", () =>
  withFolder(async ({ get }) => {
    const answer = await get("/hello.txt");
    assert.equal(answer.status, 200);
    assert.equal(answer.body, "hello, world");
    assert.match(answer.headers["content-type"] ?? "", /^text\/plain/);
    assert.equal(answer.headers["content-length"], "12");
    assert.equal(answer.headers["cache-control"], "no-cache");
    assert.equal(answer.headers["x-content-type-options"], "nosniff");
    assert.match((await get("/app.js")).headers["content-type"] ?? "", /^(text|application)\/javascript/);

    const again = await get("/hello.txt", { "if-none-match": String(answer.headers.etag) });
    assert.equal(again.status, 304);
    assert.equal(again.body, "");
  }));

Deno.test("ranges give the part that was asked for, or 416", () =>
  withFolder(async ({ get }) => {
    const part = await get("/hello.txt", { range: "bytes=7-" });
    assert.equal(part.status, 206);
    assert.equal(part.body, "world");
    assert.equal(part.headers["content-range"], "bytes 7-11/12");
    const beyond = await get("/hello.txt", { range: "bytes=50-60" });
    assert.equal(beyond.status, 416);
    assert.equal(beyond.headers["content-range"], "bytes */12");
  }));

Deno.test("HEAD has the headers of GET and no body; other methods get 405", () =>
  withFolder(async ({ get }) => {
    for (const path of ["/hello.txt", "/"]) {
      const head = await get(path, {}, "HEAD");
      assert.equal(head.status, 200);
      assert.equal(head.body, "");
      assert.equal(head.headers["content-length"], (await get(path)).headers["content-length"]);
    }
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"]) {
      const answer = await get("/hello.txt", {}, method);
      assert.equal(answer.status, 405);
      assert.equal(answer.headers.allow, "GET, HEAD");
    }
  }));

Deno.test("a folder shows its index.html, or a list that is sorted, escaped and hides what is hidden", () =>
  withFolder(async ({ get }) => {
    assert.equal((await get("/with%20index/")).body, "<h1>index</h1>");
    const { status, headers, body } = await get("/");
    assert.equal(status, 200);
    assert.match(headers["content-type"] ?? "", /^text\/html/);
    assert.match(String(headers["content-security-policy"]), /default-src 'none'/);
    const hrefs = [...body.matchAll(/href="([^"]*)"/g)].map((match) => match[1]);
    assert.deepEqual(hrefs, [
      "./sub/",
      "./with%20index/",
      "./2.txt",
      "./10.txt",
      "./app.js",
      "./hello.txt",
      "./inside.txt",
      "./sp%C3%A4te%20Gr%C3%BC%C3%9Fe%20%26%20%3Cb%3E.html",
    ]);
    assert.match(body, /späte Grüße &amp; &lt;b&gt;\.html/);
    assert.match(body, /12 B/);
    assert.match(body, /\d{4}-\d\d-\d\d \d\d:\d\d UTC/);
    const sub = await get("/sub/");
    assert.match(sub.body, /href="\.\.\/"/);
    assert.match(sub.body, /This folder is empty/);
    assert.equal((await get("/" + hrefs.at(-1)!.slice(2))).body, "<p>hi");
  }));

Deno.test("a folder without its slash is sent to the one with it, and never to another host", () =>
  withFolder(async ({ get }) => {
    const answer = await get("/sub?a=1");
    assert.equal(answer.status, 308);
    assert.equal(answer.headers.location, "/sub/?a=1");
    for (const path of ["//example.com/sub", "//sub", "/\\example.com", "///sub/.."]) {
      const other = await get(path);
      assert.equal(other.status, 404, path);
      assert.equal(other.headers.location, undefined, path);
    }
  }));

Deno.test("a link inside the folder works", () =>
  withFolder(async ({ get }) => {
    assert.equal((await get("/inside.txt")).body, "hello, world");
  }));

const TRICKS = [
  "/../secret/secret.txt",
  "/sub/../../secret/secret.txt",
  "/%2e%2e/secret/secret.txt",
  "/%2e%2e%2fsecret%2fsecret.txt",
  "/..%2fsecret/secret.txt",
  "/%252e%252e/secret/secret.txt",
  "/..%5csecret%5csecret.txt",
  "/..\\secret\\secret.txt",
  "/sub%2f..%2f..%2fsecret%2fsecret.txt",
  "/../public-too/secret.txt",
  "/..%00/secret/secret.txt",
  "/hello.txt%00",
  "/hello.txt%00.html",
  "/%00",
  "/%c0%ae%c0%ae/secret/secret.txt",
  "/%e0%80%ae/secret.txt",
  "/%zz",
  "/%",
  "//secret/secret.txt",
  "/./hello.txt",
  "/sub/./../hello.txt",
  "/hello.txt/",
  "/hello.txt/..",
  "/link.txt",
  "/linked/",
  "/linked/secret.txt",
  "/sub/relative.txt",
  "/env.txt",
  "/dangling.txt",
  "/.env",
  "/%2eenv",
  "/.git/config",
  "/.git/",
  "/keys/identity.pem",
  "/keys/",
  "/file:///etc/passwd",
  "/C:/Windows/win.ini",
  "/etc/passwd",
  "/nothing.txt",
  `/${"a/".repeat(500)}`,
  `/${"a".repeat(5000)}`,
];

Deno.test("no trick leads outside the folder or to what is hidden in it", () =>
  withFolder(async ({ get }) => {
    for (const path of TRICKS) {
      const answer = await get(path);
      assert.equal(answer.status, 404, path);
      assert.doesNotMatch(answer.body, /top-secret|root:/, path);
    }
  }));

Deno.test("what is no path at all is a bad request", () =>
  withFolder(async ({ get }) => {
    for (const target of ["http://127.0.0.1/../secret/secret.txt", "*", "secret/secret.txt", "file:///etc/passwd"]) {
      const answer = await get(target);
      assert.equal(answer.status, 400, target);
      assert.doesNotMatch(answer.body, /top-secret|root:/);
    }
  }));

Deno.test("browsers get a page, programs get JSON", () =>
  withFolder(async ({ get }) => {
    assert.match((await get("/no", { accept: "text/html" })).headers["content-type"] ?? "", /^text\/html/);
    assert.equal(JSON.parse((await get("/no", { accept: "application/json" })).body).code, "not-found");
  }));

Deno.test({
  name: "pipes are not opened",
  ignore: process.platform === "win32",
  fn: () =>
    withFolder(async ({ root, get }) => {
      execFileSync("mkfifo", [join(root, "pipe")]);
      assert.equal((await get("/pipe")).status, 404);
      assert.doesNotMatch((await get("/")).body, /pipe/);
    }),
});

Deno.test("a folder that is deleted and made again is served again", () =>
  withFolder(async ({ root, get }) => {
    await rename(root, `${root}-gone`);
    assert.equal((await get("/")).status, 404);
    await mkdir(root);
    await writeFile(join(root, "new.txt"), "new");
    assert.equal((await get("/new.txt")).body, "new");
    await rm(`${root}-gone`, { recursive: true });
  }));
