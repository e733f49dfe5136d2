import assert from "node:assert/strict";
import { SpanwayError } from "../../shared/errors.ts";
import { FORWARDS_MAX } from "../../shared/limits.ts";
import { exitCodeOf } from "./exit_code.ts";
import { forward, forwards, shareCode, socksAuth, stdioTarget } from "./parse_connect.ts";

/** Every text must be refused as wrong usage, with a next step. */
function refuses(parse: (text: string) => unknown, texts: readonly string[]): void {
  for (const text of texts) {
    assert.throws(
      () => parse(text),
      (error) => error instanceof SpanwayError && exitCodeOf(error) === 2 && Boolean(error.hint),
      `"${text}"`,
    );
  }
}

const relay = new URL("https://share.example.com");

Deno.test("shares by name, by code and by URL", () => {
  const fingerprint = "mzuhvlp-ymk6xo3-epygfy5-h4oeaej";
  const parse = (text: string) => shareCode(text, relay);
  assert.deepEqual(parse("my-demo"), { name: "my-demo", fingerprint: undefined });
  assert.deepEqual(parse(`my-demo#${fingerprint}`), { name: "my-demo", fingerprint });
  assert.deepEqual(parse(`my-demo#${fingerprint.toUpperCase()}`), { name: "my-demo", fingerprint });
  assert.deepEqual(parse("https://my-demo.share.example.com/some/page?x"), { name: "my-demo", fingerprint: undefined });
  assert.deepEqual(parse(`HTTPS://my-demo.share.example.com#${fingerprint}`), { name: "my-demo", fingerprint });
  assert.equal(shareCode("http://my-demo.localhost:8080/", new URL("http://localhost:8080")).name, "my-demo");
  refuses(parse, [
    "",
    "My-Demo",
    "a b",
    "my-demo#",
    "my-demo#abc",
    `#${fingerprint}`,
    `my-demo#${fingerprint}x`,
    "https://my-demo.other.example.com",
    "http://my-demo.share.example.com",
    "https://share.example.com",
    "https://a.b.share.example.com",
    "https://my-demo.share.example.com:8443",
  ]);
});

Deno.test("forwards", () => {
  const parse = (text: string) => {
    const { protocol, listen, host, port } = forward(text);
    return `${protocol} ${listen.host} ${listen.port} -> ${host || "share"} ${port}`;
  };
  assert.equal(parse("5432:5432"), "tcp 127.0.0.1 5432 -> share 5432");
  assert.equal(parse("0:5432"), "tcp 127.0.0.1 0 -> share 5432");
  assert.equal(parse("5433:db:5432"), "tcp 127.0.0.1 5433 -> db 5432");
  assert.equal(parse("5433:10.0.0.7:5432"), "tcp 127.0.0.1 5433 -> 10.0.0.7 5432");
  assert.equal(parse("127.0.0.1:5432:5433"), "tcp 127.0.0.1 5432 -> share 5433");
  assert.equal(parse("0.0.0.0:8080:db.internal:80"), "tcp 0.0.0.0 8080 -> db.internal 80");
  assert.equal(parse("*:8080:80"), "tcp 0.0.0.0 8080 -> share 80");
  assert.equal(parse(":8080:80"), "tcp 0.0.0.0 8080 -> share 80");
  assert.equal(parse("localhost:8080:localhost:80"), "tcp localhost 8080 -> localhost 80");
  assert.equal(parse("[::1]:8080:80"), "tcp ::1 8080 -> share 80");
  assert.equal(parse("8080:[fd00::7]:80"), "tcp 127.0.0.1 8080 -> fd00::7 80");
  assert.equal(parse("[::]:8080:[fd00::7]:80/tcp"), "tcp :: 8080 -> fd00::7 80");
  assert.equal(parse("5353:53/udp"), "udp 127.0.0.1 5353 -> share 53");
  assert.equal(parse("5353:dns:53/UDP"), "udp 127.0.0.1 5353 -> dns 53");
  refuses(forward, [
    "",
    ":",
    "8080",
    "8080/udp",
    "8080:",
    ":8080",
    "a:b",
    "8080:80/sctp",
    "8080:80/",
    "8080:80:",
    "8080::80",
    "99999:80",
    "80:0",
    "80:70000",
    "80:-1",
    "1:2:3:4:5",
    "::1:8080:80",
    "[::1:8080:80",
    "8080:[nonsense]:80",
    "8080:[]:80",
    "8080:a b:80",
    "8080:http://x:80",
    "8080:a!b:80",
    `8080:${"é".repeat(200)}:80`,
    "-1:80",
    "8080:80 ",
  ]);
  assert.throws(() => forward("8080"), { hint: "Give the port here and the one there: -L 8080:8080." });
  const many = Array.from({ length: FORWARDS_MAX }, () => forward("1:1"));
  assert.throws(() => forwards("1:1", many), { code: "usage" });
  assert.equal(forwards("1:1", []).length, 1);
});

Deno.test("a port for standard input and output", () => {
  assert.deepEqual(stdioTarget("22"), { host: "", port: 22 });
  assert.deepEqual(stdioTarget("db.internal:5432"), { host: "db.internal", port: 5432 });
  assert.deepEqual(stdioTarget("[fd00::7]:22"), { host: "fd00::7", port: 22 });
  assert.deepEqual(stdioTarget("ssh"), { host: "_ssh", port: 22 });
  refuses(stdioTarget, ["", "0", "65536", "sshd", ":22", "a:", "a:b:1", "::1:22", "[x]:1", "1/udp"]);
});

Deno.test("user name and password for SOCKS; an error repeats neither", () => {
  assert.deepEqual(socksAuth("anna:s3:cret"), { user: "anna", password: "s3:cret" });
  refuses(socksAuth, ["", "anna", "anna:", ":s3cret", `${"a".repeat(256)}:b`, `a:${"ä".repeat(128)}`]);
  assert.throws(() => socksAuth("topsecret"), (error) => !(error as Error).message.includes("topsecret"));
});
