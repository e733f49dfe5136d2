import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocket } from "ws";
import { createDemo } from "./demo.ts";
import { DEMO_PAGE } from "./page.ts";

async function withDemo(work: (origin: string) => Promise<void>): Promise<void> {
  const demo = createDemo();
  const server = createServer(demo.listener).on("upgrade", demo.upgrade);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

interface News {
  clock: string;
  here: number;
  visits: number;
  waves: number;
}

/** The news of the demo, one after the other. */
async function* watch(origin: string): AsyncGenerator<News> {
  const response = await fetch(`${origin}/events`);
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  let text = "";
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      yield JSON.parse(text.slice("data: ".length, end));
      text = text.slice(end + 2);
    }
  }
}

async function until(news: AsyncGenerator<News>, wanted: (item: News) => boolean): Promise<News> {
  for (;;) {
    const { value, done } = await news.next();
    assert(!done);
    if (wanted(value)) return value;
  }
}

Deno.test("the page loads nothing from elsewhere and runs only its own script", () =>
  withDemo(async (origin) => {
    const response = await fetch(origin, { headers: { accept: "text/html" } });
    assert.equal(response.status, 200);
    assert.equal(await response.text(), DEMO_PAGE);
    assert.match(response.headers.get("content-security-policy") ?? "", /default-src 'none'; script-src 'sha256-/);
    assert.deepEqual(DEMO_PAGE.match(/(src|href)="(?!data:)[^"]*"/g), null);
    assert.equal((await fetch(`${origin}/nothing`)).status, 404);
  }));

Deno.test("who watches sees the clock, others come and go, and waves", () =>
  withDemo(async (origin) => {
    const first = watch(origin);
    const { clock, here } = (await first.next()).value!;
    assert.match(clock, /^\d\d:\d\d:\d\d$/);
    assert.equal(here, 1);
    const second = watch(origin);
    await second.next();
    await until(first, (news) => news.here === 2);
    assert.equal((await fetch(`${origin}/wave`, { method: "POST" })).status, 204);
    await until(first, (news) => news.waves === 1);
    await until(second, (news) => news.waves === 1);
    await second.return(undefined);
    await until(first, (news) => news.here === 1);
    await first.return(undefined);
  }));

Deno.test("the echo answers text with text and bytes with bytes, and nothing else is upgraded", () =>
  withDemo(async (origin) => {
    const socket = new WebSocket(`${origin.replace("http", "ws")}/echo`);
    await new Promise((resolve, reject) => socket.on("open", resolve).on("error", reject));
    const reply = () =>
      new Promise<[unknown, boolean]>((resolve) => socket.once("message", (...args) => resolve(args)));
    for (const [data, binary] of [["hello", false], [new Uint8Array([0, 255]), true]] as const) {
      const answer = reply();
      socket.send(data);
      const [echoed, wasBinary] = await answer;
      assert.equal(wasBinary, binary);
      assert.deepEqual(new Uint8Array(echoed as Uint8Array), new Uint8Array(Buffer.from(data)));
    }
    const closed = new Promise((resolve) => socket.on("close", resolve));
    socket.close();
    await closed;

    const other = new WebSocket(`${origin.replace("http", "ws")}/other`);
    await new Promise<void>((resolve) => other.on("error", () => resolve()));
  }));
