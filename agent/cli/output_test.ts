import assert from "node:assert/strict";
import { OUTPUT_QUEUE_MAX_CHARS } from "../../shared/limits.ts";
import { ServiceError } from "../../shared/errors.ts";
import { Output, type OutputOptions, wantsColor } from "./output.ts";
import { jsonLine, printable, shorten } from "./printable.ts";
import { formatMs, requestLine } from "./request_line.ts";
import type { Sink } from "./sink.ts";
import { Writer } from "./writer.ts";

/** An output whose two streams are kept as text, in the order of the writes too. */
function capture(options: Partial<OutputOptions> = {}) {
  const text = { stdout: "", stderr: "" };
  const writes: string[] = [];
  const decoder = new TextDecoder();
  const sink = (name: "stdout" | "stderr"): Sink => (bytes) => {
    text[name] += decoder.decode(bytes);
    writes.push(name);
    return Promise.resolve();
  };
  const writer = new Writer({ stdout: sink("stdout"), stderr: sink("stderr") });
  const output = new Output(writer, { json: false, quiet: false, color: false, columns: () => 80, ...options });
  return { output, writer, text, writes };
}

const log = { method: "GET", path: "/", status: 200, ms: 1.234 };

Deno.test("human text goes to standard output, warnings and errors to standard error", async () => {
  const { output, text } = capture();
  output.line("hello");
  output.pairs([["URL", "http://x"], ["Expires", "in 1h"]]);
  output.event("ready", { name: "x" });
  output.warn("careful");
  output.error(new ServiceError("name-taken", "That name is taken.", { hint: "Choose another." }));
  await output.flush();
  assert.equal(text.stdout, "hello\n  URL      http://x\n  Expires  in 1h\n");
  assert.equal(text.stderr, "warning: careful\nerror: That name is taken.\n  Choose another.\n");
});

Deno.test("with --json standard output is one object per line and human text goes to standard error", async () => {
  const { output, text } = capture({ json: true });
  output.line("hello");
  output.event("ready", { name: "x", url: "http://x" });
  output.request(log);
  output.error(new ServiceError("name-taken", "That name is taken.", { hint: "Choose another." }));
  await output.flush();
  const events = text.stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(events, [
    { event: "ready", name: "x", url: "http://x" },
    { event: "request", ...log },
    { event: "error", code: "name-taken", message: "That name is taken.", hint: "Choose another." },
  ]);
  assert.match(text.stderr, /^hello\nerror: That name is taken\.\n/);
});

Deno.test("--quiet leaves out requests and remarks", async () => {
  const { output, text } = capture({ quiet: true });
  output.request(log);
  output.note("by the way");
  output.line("result");
  await output.flush();
  assert.equal(text.stdout, "result\n");
});

Deno.test("nothing from a stranger steers the terminal", async () => {
  // deno-lint-ignore no-control-regex -- control characters are what this is about
  const control = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028]/;
  const nasty = "/\x1b]0;owned\x07\x1b[2J\r\n\x00\x9b31m\u202egnp.exe\u2028\x7f";
  for (const json of [false, true]) {
    const { output, text } = capture({ json });
    output.request({ method: nasty, path: nasty, status: 200, ms: 1, note: nasty });
    output.pairs([["URL", nasty]]);
    output.table(["Name"], [[nasty]]);
    output.warn(nasty, nasty);
    output.error(new Error(nasty));
    output.event("x", { nasty });
    await output.flush();
    assert.doesNotMatch(text.stdout, control);
    assert.doesNotMatch(text.stderr, control);
    if (json) {
      const lines = text.stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
      assert.equal(lines[0].path, nasty);
    }
  }
  assert.equal(printable("a\x1b[1mb\u202e"), "a\\x1b[1mb\\u202e");
  assert.equal(printable("größe 日本"), "größe 日本");
  assert.deepEqual(JSON.parse(jsonLine({ nasty })), { nasty });
});

Deno.test("request lines have fixed columns and fit the terminal", async () => {
  const { output, text } = capture();
  for (const columns of [40, 80, 200]) {
    const lines = [
      requestLine(log, output.colors, columns),
      requestLine({ method: "PROPPATCH", path: "/x".repeat(9000), status: 502, ms: 61_000 }, output.colors, columns),
      requestLine({ method: "PUT", path: "/\x1b".repeat(500), status: undefined, ms: 0 }, output.colors, columns),
    ];
    const [first = ""] = lines;
    assert(
      lines.every((line) => line.length === first.length && line.length <= Math.max(columns, 45)),
      lines.join("\n"),
    );
  }
  output.request({ ...log, note: "origin-refused" });
  await output.flush();
  assert.match(text.stdout, /^ {2}GET {6}\/ +200 {5}1\.2 ms {2}origin-refused\n$/);
  assert.deepEqual([0.04, 9.96, 999.6, 59_960, 120_000].map(formatMs), ["0.0 ms", "10 ms", "1.0 s", "1 min", "2 min"]);
  assert.equal(shorten("/a/very/long/path/to/something.js", 16), "/a/very/lo…ng.js");
});

Deno.test("colours follow NO_COLOR, FORCE_COLOR and the terminal, in that order", async () => {
  assert.equal(wantsColor({}, true), true);
  assert.equal(wantsColor({}, false), false);
  assert.equal(wantsColor({ NO_COLOR: "1", FORCE_COLOR: "1" }, true), false);
  assert.equal(wantsColor({ NO_COLOR: "" }, true), true);
  assert.equal(wantsColor({ FORCE_COLOR: "1" }, false), true);
  assert.equal(wantsColor({ FORCE_COLOR: "0" }, true), false);
  assert.equal(wantsColor({ TERM: "dumb" }, true), false);
  const { output, text } = capture({ color: true });
  output.request({ ...log, status: 404 });
  await output.flush();
  assert(text.stdout.includes("\x1b[33m404\x1b[39m"), text.stdout);
});

Deno.test("lines that come together are written together, and in order across both streams", async () => {
  const { output, text, writes } = capture();
  for (let i = 0; i < 1000; i++) output.request({ ...log, path: `/${i}` });
  output.warn("between");
  for (let i = 0; i < 1000; i++) output.line(`${i}`);
  await output.flush();
  assert.deepEqual(writes, ["stdout", "stderr", "stdout"]);
  assert.equal(text.stdout.split("\n").length, 2001);
});

Deno.test("a terminal that takes nothing costs request lines, which are counted, and holds up nobody", async () => {
  let release = () => {};
  const stuck = new Promise<void>((resolve) => release = resolve);
  let written = 0;
  let said = "";
  const writer = new Writer({
    stdout: async (bytes) => {
      await stuck;
      written += bytes.length;
    },
    stderr: (bytes) => {
      said += new TextDecoder().decode(bytes);
      return Promise.resolve();
    },
  });
  const output = new Output(writer, { json: false, quiet: false, color: false, columns: () => 80 });
  const path = `/${"x".repeat(40)}`;
  for (let i = 0; i < 50_000; i++) output.request({ ...log, path });
  output.line("the end");
  await writer.flush(20); // comes back although nothing can be written
  release();
  await writer.flush(5000);
  assert(written > OUTPUT_QUEUE_MAX_CHARS / 2 && written <= OUTPUT_QUEUE_MAX_CHARS + 100, String(written));
  assert.match(said, /^warning: \d+ lines were not shown/);
});

Deno.test("a reader that went away is no error", async () => {
  let attempts = 0;
  const writer = new Writer({
    stdout: () => {
      attempts++;
      return Promise.reject(new Error("EPIPE"));
    },
    stderr: () => Promise.resolve(),
  });
  const output = new Output(writer, { json: false, quiet: false, color: false, columns: () => 80 });
  for (let i = 0; i < 3; i++) {
    output.line("hello");
    await output.flush();
  }
  assert.equal(attempts, 1);
});

Deno.test("a QR code is square and made of half blocks", async () => {
  const { output, text } = capture();
  await output.qr("http://frosty-weasel-0857.localhost:8080");
  await output.flush();
  const lines = text.stdout.trimEnd().split("\n");
  assert(lines.length > 10);
  assert.match(text.stdout, /[█▀▄]/);
  assert(Math.abs((lines.at(1) ?? "").trim().length / 2 - lines.length) <= 2);
});
