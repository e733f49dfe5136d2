import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import http, { type IncomingMessage } from "node:http";
import net from "node:net";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { WebSocket, type WebSocket as NodeSocket, WebSocketServer } from "ws";
import { device, DOMAIN, KEY, TestService } from "./testing/service.ts";

const BROWSER = { accept: "text/html,*/*;q=0.8" };

Deno.test("visitors of shares, in workerd", async (t) => {
  const service = await TestService.start();
  const edge = await service.edge("one");
  const alice = await device();
  await service.register(alice, "open-demo");
  await service.attach(edge, alice, "open-demo");
  try {
    await t.step("an unknown share is a 404: a page for browsers, JSON for programs, nothing for HEAD", async () => {
      const page = await service.visit("nobody-here", { headers: BROWSER });
      assert.equal(page.status, 404);
      assert.match(page.headers["content-type"]!, /^text\/html/);
      assert.match(page.text, /nobody-here\.spanway\.test/);
      const { status, headers, json } = await service.visit("nobody-here");
      assert.equal(status, 404);
      assert.equal(headers["content-type"], "application/problem+json");
      assert.equal(json.code, "share-unknown");
      assert.equal((await service.visit("nobody-here", { method: "HEAD" })).text, "");
    });

    await t.step("strangers who try names leave nothing behind on the disk", async () => {
      const dir = join(service.dir, "workerd/objects/spanway-share");
      const before = readdirSync(dir).length;
      await Promise.all(Array.from({ length: 50 }, (_, i) => service.visit(`guess-${i}`)));
      assert.equal(readdirSync(dir).length, before);
    });

    await t.step("a share whose agent is away is a 503 that says when to try again", async () => {
      await service.register(alice, "away-demo");
      const { status, headers, text } = await service.visit("away-demo", { headers: BROWSER });
      assert.equal(status, 503);
      assert.equal(headers["retry-after"], "5");
      assert.match(text, /away/);
    });

    await t.step("only NAME.DOMAIN is a share, whatever its case, port or trailing dot", async () => {
      const status = async (host: string) => (await service.call({ host })).status;
      for (const host of ["open-demo.spanway.test:8080", "OPEN-Demo.Spanway.TEST", "open-demo.spanway.test."]) {
        const answer = await service.call({ host });
        assert.equal(answer.text, "hello from the edge", host);
      }
      assert.equal(await status("open-demo.spanway.test.evil.com"), 421);
      assert.equal(await status("open-demo.spanway.testing"), 421);
      assert.equal(await status("open-demo-spanway.test"), 421);
      assert.equal(await status("evil.com"), 421);
      assert.equal(await status("x.open-demo.spanway.test"), 404);
      assert.equal(await status("xn--open-demo.spanway.test"), 404);
      assert.equal(await status("www.spanway.test"), 404);
      assert.equal(await status(`${"x".repeat(64)}.spanway.test`), 404);
      for (
        const host of [
          "open-demo.spanway.test@evil.com",
          "evil.com#.spanway.test",
          "open-demo.spanway.test:1:2",
          "..spanway.test",
          "open_demo.spanway.test/",
        ]
      ) {
        const answer = await service.call({ host });
        // Some of them workerd itself refuses, with 500 and no details.
        assert.ok([400, 404, 421, 500].includes(answer.status), `${host}: ${answer.status}`);
        assert.doesNotMatch(answer.text, /hello/);
      }
    });

    await t.step(
      "a request reaches the edge of the share whole, with what the Worker knows of its sender",
      async () => {
        let seen: { method?: string; url?: string; headers: http.IncomingHttpHeaders; body: string } | undefined;
        edge.onVisitor = async (request, response) => {
          let body = "";
          for await (const chunk of request) body += chunk;
          seen = { method: request.method!, url: request.url!, headers: request.headers, body };
          response.writeHead(207, [["set-cookie", "a=1"], ["set-cookie", "b=2"], ["x-answer", "yes"]].flat());
          response.end("done");
        };
        const answer = await service.visit("open-demo", {
          method: "PUT",
          path: "/a%20b/../c?q=%2F&r",
          body: "the body",
          headers: {
            cookie: "k=v",
            "x-forwarded-for": "6.6.6.6",
            "x-forwarded-proto": "gopher",
            "x-forwarded-host": "evil.com",
            forwarded: "for=6.6.6.6",
            "x-spanway-share": "other-share",
            "x-spanway-passed": "1",
            "x-spanway-visitor": "6.6.6.6",
            "x-spanway-edge-key": "wrong",
          },
        });
        assert.equal(answer.status, 207);
        assert.deepEqual(answer.headers["set-cookie"], ["a=1", "b=2"]);
        assert.equal(answer.headers["x-answer"], "yes");
        assert.equal(answer.text, "done");
        assert.equal(seen!.method, "PUT");
        assert.equal(seen!.body, "the body");
        assert.match(seen!.url!, /c\?q=%2F&r$/);
        const { headers } = seen!;
        assert.equal(headers.cookie, "k=v");
        assert.equal(headers["x-spanway-share"], "open-demo");
        assert.equal(headers["x-spanway-edge-key"], KEY);
        assert.equal(headers["x-spanway-passed"], "1");
        assert.equal(headers["x-forwarded-proto"], "http");
        assert.equal(headers["x-forwarded-host"], "open-demo.spanway.test");
        assert.doesNotMatch(JSON.stringify(headers), /6\.6\.6\.6|gopher|evil/);
        edge.onVisitor = (_request, response) => response.end("hello from the edge");
      },
    );

    await t.step("what one of our edges says of a visitor is believed, and it gets nothing passed twice", async () => {
      let headers: http.IncomingHttpHeaders = {};
      edge.onVisitor = (request, response) => {
        headers = request.headers;
        response.end("hello from the edge");
      };
      const fromEdge = {
        "x-spanway-edge-key": KEY,
        "x-spanway-visitor": "192.0.2.9",
        "x-forwarded-for": "192.0.2.9",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "open-demo.spanway.test",
      };
      assert.equal((await service.visit("open-demo", { headers: fromEdge })).status, 200);
      assert.equal(headers["x-forwarded-for"], "192.0.2.9");
      assert.equal(headers["x-forwarded-proto"], "https");
      assert.equal(headers["x-spanway-visitor"], "192.0.2.9");
      const again = await service.visit("open-demo", { headers: { ...fromEdge, "x-spanway-passed": "1" } });
      assert.equal(again.status, 503);
      assert.equal(again.json.code, "share-away");
    });

    await t.step("compressed bodies and redirects go through untouched", async () => {
      const packed = gzipSync("hello ".repeat(1000));
      edge.onVisitor = (request, response) => {
        if (request.url === "/moved") response.writeHead(302, { location: "http://elsewhere.test/" }).end();
        else {response.writeHead(200, {
            "content-encoding": "gzip",
            "x-accept": request.headers["accept-encoding"] ?? "",
          }).end(packed);}
      };
      const answer = await service.visit("open-demo", { headers: { "accept-encoding": "gzip" } });
      assert.equal(answer.headers["content-encoding"], "gzip");
      assert.equal(answer.headers["x-accept"], "gzip");
      assert.deepEqual(Buffer.from(answer.body), packed);
      assert.equal((await service.visit("open-demo")).headers["x-accept"], "");
      const moved = await service.visit("open-demo", { path: "/moved" });
      assert.deepEqual([moved.status, moved.headers.location], [302, "http://elsewhere.test/"]);
    });

    await t.step("bodies stream both ways while both are open", async () => {
      edge.onVisitor = (request, response) => request.pipe(response);
      const request = http.request({
        port: service.port,
        host: "127.0.0.1",
        method: "POST",
        agent: false,
        headers: { host: `open-demo.${DOMAIN}` },
      });
      request.write("first");
      const [response] = await once(request, "response") as [IncomingMessage];
      const parts = response.setEncoding("utf8")[Symbol.asyncIterator]();
      assert.equal((await parts.next()).value, "first");
      request.write("second");
      assert.equal((await parts.next()).value, "second");
      request.end();
      assert.equal((await parts.next()).done, true);
    });

    await t.step("20 MB arrive unchanged in both directions", async () => {
      edge.onVisitor = (request, response) => request.pipe(response);
      const body = new Uint8Array(20_000_000);
      for (let i = 0; i < body.length; i += 4099) body[i] = i;
      const answer = await service.visit("open-demo", { method: "POST", body });
      const sum = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
      assert.equal(sum(answer.body), sum(body));
    });

    await t.step("a body of known length that breaks off at the edge breaks off at the visitor", async () => {
      edge.onVisitor = (_request, response) => {
        response.writeHead(200, { "content-length": "100" });
        response.write("half of it", () => response.destroy());
      };
      await assert.rejects(service.visit("open-demo"));
    });

    await t.step("a visitor who breaks off is noticed at the edge, before the next byte", async () => {
      const left = Promise.withResolvers<void>();
      edge.onVisitor = (_request, response) => {
        response.on("close", () => left.resolve());
        response.writeHead(200).write("first");
      };
      const visitor = net.connect(service.port, "127.0.0.1");
      visitor.write(`GET / HTTP/1.1\r\nhost: open-demo.${DOMAIN}\r\n\r\n`);
      await once(visitor, "data");
      visitor.resetAndDestroy();
      await left.promise;
    });

    await t.step("an edge may ask where a share is, and carry its visitors there itself", async () => {
      const where = async (name: string) => (await service.edgeCall("GET", `one/shares/${name}`, undefined)).json;
      const { region, origin } = edge.report();
      const at = { id: "one", instance: edge.instance, region, origin };
      assert.deepEqual(await where("open-demo"), { state: "attached", edge: at });
      assert.deepEqual(await where("away-demo"), { state: "away" });
      assert.deepEqual(await where("nobody-here"), { state: "unknown" });
      const answer = await service.edgeCall("GET", "one/shares/open-demo", undefined, "wrong key");
      assert.equal(answer.status, 403);
    });

    await t.step("WebSockets pass, with subprotocol, text, binary and close code", async () => {
      const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => "chat" });
      edge.onUpgrade = (request, socket) => {
        assert.equal(request.headers["x-spanway-share"], "open-demo");
        assert.equal(request.headers["sec-websocket-protocol"], "chat");
        sockets.handleUpgrade(request, socket, Buffer.alloc(0), (peer: NodeSocket) => {
          peer.on("message", (data, binary) => peer.send(data, { binary }));
          peer.on("close", (code) => closed.resolve(code));
        });
      };
      const closed = Promise.withResolvers<number>();
      const client = new WebSocket(`ws://127.0.0.1:${service.port}/socket?x=1`, ["chat"], {
        headers: { host: `open-demo.${DOMAIN}` },
      });
      await once(client, "open");
      assert.equal(client.protocol, "chat");
      client.send("text");
      const [text, isBinary] = await once(client, "message");
      assert.deepEqual([String(text), isBinary], ["text", false]);
      client.send(Uint8Array.of(1, 2, 3));
      const [bytes] = await once(client, "message");
      assert.deepEqual([...bytes as Uint8Array], [1, 2, 3]);
      const left = once(client, "close");
      client.close(4001, "enough");
      assert.equal(await closed.promise, 4001);
      await left;
    });

    await t.step("a share on an edge that is gone, or has restarted, is away", async () => {
      const brief = await service.edge("brief");
      await service.register(alice, "brief-demo");
      await service.attach(brief, alice, "brief-demo");
      assert.equal((await service.visit("brief-demo")).status, 200);
      await service.edgeCall("PUT", "brief", { ...brief.report(), instance: "second boot" });
      const until = Date.now() + 5000;
      let status = 200;
      // The list of edges may be a second old.
      while (status === 200 && Date.now() < until) status = (await service.visit("brief-demo")).status;
      assert.equal(status, 503);
      const gone = await service.edge("gone");
      await service.attach(gone, alice, "brief-demo");
      gone.onVisitor = (_request, response) => response.destroy();
      assert.equal((await service.visit("brief-demo")).status, 503);
    });
  } finally {
    await service.end();
  }
});
