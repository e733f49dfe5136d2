import assert from "node:assert/strict";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { RawVisitor, visit } from "../../tests/support/visitor.ts";
import { sendProblem, writeProblem } from "./send_problem.ts";

/** A server that answers every request the same way. */
async function withServer(
  answer: (req: IncomingMessage, res: ServerResponse) => void,
  work: (port: number) => Promise<void>,
): Promise<void> {
  const server = http.createServer(answer);
  server.on("upgrade", (req, socket) => writeProblem(req, socket, "origin-timeout", "name"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await work((server.address() as AddressInfo).port);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

const STATUS: readonly (readonly [code: string, status: number, shown: string])[] = [
  ["origin-refused", 502, "origin-refused"],
  ["origin-failed", 502, "origin-failed"],
  ["origin-certificate", 502, "origin-certificate"],
  ["origin-timeout", 504, "origin-timeout"],
  ["too-busy", 503, "too-busy"],
  ["too-many-streams", 503, "too-busy"],
  ["bad-request", 400, "bad-request"],
  ["headers-too-large", 431, "headers-too-large"],
  ["share-away", 503, "share-away"],
  ["session-closed", 503, "share-away"],
  ["stream-cut", 503, "share-away"],
  ["share-expired", 410, "share-expired"],
  ["share-ended", 410, "share-ended"],
  ["unavailable", 503, "unavailable"],
  // Whatever else an agent says, names that JavaScript gives a meaning among it.
  ["surprise", 502, "origin-failed"],
  ["constructor", 502, "origin-failed"],
  ["__proto__", 502, "origin-failed"],
];

Deno.test("every code has its status, for programs and for browsers", () =>
  withServer((req, res) => sendProblem(req, res, req.url!.slice(1), "name"), async (port) => {
    for (const [code, status, shown] of STATUS) {
      const program = await visit({ host: "x", port }, `/${code}`);
      assert.deepEqual([program.status, program.headers["x-spanway-problem"]], [status, shown], code);
      assert.equal(JSON.parse(program.body.toString()).code, shown);
      assert.equal(program.headers["retry-after"] !== undefined, status === 503);
      const browser = await visit({ host: "x", port }, `/${code}`, { headers: ["Accept", "text/html"] });
      assert.equal(browser.status, status);
      assert.match(browser.headers["content-type"]!, /^text\/html/);
      const head = await visit({ host: "x", port }, `/${code}`, { method: "HEAD" });
      assert.deepEqual([head.status, head.body.length], [status, 0]);
    }
  }));

Deno.test("an answer that has begun is left alone", () =>
  withServer((req, res) => {
    res.write("begun");
    sendProblem(req, res, "origin-failed", undefined);
    res.end(" and ended");
  }, async (port) => {
    const { status, body } = await visit({ host: "x", port }, "/");
    assert.deepEqual([status, body.toString()], [200, "begun and ended"]);
  }));

Deno.test("a request to switch protocols is told on its raw connection, which is closed", () =>
  withServer(() => {}, async (port) => {
    for (const accept of ["text/html", "*/*"]) {
      using visitor = new RawVisitor(port);
      visitor.send(`GET / HTTP/1.1\r\nHost: x\r\nAccept: ${accept}\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n`);
      const heard = await visitor.all();
      assert.match(heard, /^HTTP\/1\.1 504 .*\r\nconnection: close\r\n\r\n.*origin-timeout/is);
      const [head, body] = heard.split("\r\n\r\n") as [string, string];
      assert.equal(Number(/content-length: (\d+)/.exec(head)![1]), new TextEncoder().encode(body).length);
    }
  }));
