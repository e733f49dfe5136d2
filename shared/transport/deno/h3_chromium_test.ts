import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { chromium, type Page } from "playwright-core";
import { within } from "../compliance_tools.ts";
import type { Session, SessionClose } from "../transport.ts";
import { loopbackServer } from "./h3_loopback.ts";

const CHROMIUM = "/usr/bin/chromium";
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** What a page is told: where the server is and which certificate it has. */
interface Target {
  readonly url: string;
  readonly hash: number[];
}

/** Sends everything back. Pipes end their own half when the page aborts, as every consumer must. */
async function echo(session: Session): Promise<void> {
  void (async () => {
    for (;;) {
      const payload = await session.datagrams.receive();
      if (payload === undefined) return;
      session.datagrams.send(payload);
    }
  })();
  for (;;) {
    const stream = await session.acceptStream();
    if (stream === undefined) return;
    stream.readable.pipeTo(stream.writable).catch(() => {});
  }
}

/** A browser with a page in a secure context, and a server that it may connect to. */
async function withBrowser(
  run: (page: Page, target: Target, begun: Promise<Session>) => Promise<void>,
): Promise<void> {
  if (!existsSync(CHROMIUM)) {
    console.log(`skipped: there is no ${CHROMIUM}`);
    return;
  }
  const begun = Promise.withResolvers<Session>();
  const { server, url, certHashes } = await loopbackServer({
    onSession(request) {
      if (request.path === "/refused") return request.refuse(403);
      assert.match(request.origin!, /^http:\/\/127\.0\.0\.1:/);
      const session = request.accept();
      begun.resolve(session);
      void echo(session);
    },
  });
  const web = createServer((_, response) => {
    response.setHeader("content-type", "text/html");
    response.end("<!doctype html><title>test</title>");
  }).listen(0, "127.0.0.1");
  await once(web, "listening");
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  try {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${(web.address() as AddressInfo).port}/`);
    await within(run(page, { url, hash: [...certHashes[0]!] }, begun.promise), "the page", 60_000);
  } finally {
    await browser.close();
    await server.close();
    web.close();
    web.closeAllConnections();
  }
}

Deno.test("Chromium: streams, datagrams and the page's close", () =>
  withBrowser(async (page, target, begun) => {
    const seen = await page.evaluate(async ({ url, hash }: Target) => {
      const transport = new WebTransport(url, {
        serverCertificateHashes: [{ algorithm: "sha-256", value: new Uint8Array(hash) }],
      });
      await transport.ready;
      const echo = async (bytes: Uint8Array<ArrayBuffer>) => {
        const { readable, writable } = await transport.createBidirectionalStream();
        const writer = writable.getWriter();
        const sent = writer.write(bytes).then(() => writer.close());
        const answer = new Uint8Array(await new Response(readable).arrayBuffer());
        await sent;
        return answer;
      };
      const small = [...await echo(new Uint8Array([1, 2, 3]))];
      const large = (await echo(new Uint8Array(5_000_000).fill(7))).filter((byte) => byte === 7).length;
      let many = 0;
      for (let i = 0; i < 200; i++) many += (await echo(new Uint8Array([i & 0xff]))).length;
      await transport.datagrams.writable.getWriter().write(new Uint8Array([4, 5]));
      const datagram = [...(await transport.datagrams.readable.getReader().read()).value!];
      transport.close({ closeCode: 77, reason: "page" });
      await transport.closed;
      return { small, large, many, datagram };
    }, target);
    assert.deepEqual(seen, { small: [1, 2, 3], large: 5_000_000, many: 200, datagram: [4, 5] });
    assert.deepEqual(await (await begun).closed, { code: 77, reason: "page", local: false });
  }));

Deno.test("Chromium: a page sees the server's close with its code, a refusal, and streams that the server opens", () =>
  withBrowser(async (page, target, begun) => {
    const waiting = page.evaluate(async ({ url, hash }: Target) => {
      const options = { serverCertificateHashes: [{ algorithm: "sha-256", value: new Uint8Array(hash) }] };
      const refused = await new WebTransport(new URL("/refused", url), options).ready.then(() => false, () => true);
      const transport = new WebTransport(url, options);
      await transport.ready;
      const stream = (await transport.incomingBidirectionalStreams.getReader().read()).value!;
      const first = (await stream.readable.getReader().read()).value!;
      await stream.writable.getWriter().write(first);
      const { closeCode, reason } = await transport.closed;
      return { refused, first: [...first], closeCode, reason };
    }, target);
    const session = await begun;
    const { readable, writable } = await session.openStream();
    await writable.getWriter().write(new Uint8Array([8]));
    assert.deepEqual([...(await within(readable.getReader().read(), "the page's answer")).value!], [8]);
    session.close({ code: 4242, reason: "bis bald, ö" });
    assert.deepEqual(await waiting, { refused: true, first: [8], closeCode: 4242, reason: "bis bald, ö" });
  }));

Deno.test("Chromium: aborting a stream does not hang the page, and a page that goes away ends its session", () =>
  withBrowser(async (page, target, begun) => {
    const after = await page.evaluate(async ({ url, hash }: Target) => {
      const transport = new WebTransport(url, {
        serverCertificateHashes: [{ algorithm: "sha-256", value: new Uint8Array(hash) }],
      });
      await transport.ready;
      const { readable, writable } = await transport.createBidirectionalStream();
      const writer = writable.getWriter();
      const reader = readable.getReader();
      await writer.write(new Uint8Array(10));
      await reader.read();
      await writer.abort("enough");
      // The server ends its half too.
      return (await reader.read().catch(() => ({ done: true }))).done;
    }, target);
    assert.equal(after, true);
    await page.close();
    const ended: SessionClose = await within((await begun).closed, "the end of the session");
    assert.equal(ended.local, false);
  }));
