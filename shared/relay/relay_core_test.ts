import assert from "node:assert/strict";
import { ServiceError, TicketError } from "../errors.ts";
import { CONTROL_MESSAGE_MAX_BYTES } from "../limits.ts";
import { type MemoryPair, memoryPair } from "../transport/memory.ts";
import type { Session } from "../transport/transport.ts";
import { encodeControl, type Hello } from "../wire/control.ts";
import { encodeVarint } from "../wire/varint.ts";
import { type Control, dialHandshake } from "./handshake.ts";
import { EndCode, type RelayBounds, RelayCore } from "./relay_core.ts";

const HELLO: Omit<Hello, "t" | "versions"> = {
  role: "share",
  name: "fair-otter-0001",
  ticket: new Uint8Array(8),
  agent: "test/1",
};

/** A relay core with its effects written down. */
class Relay {
  readonly log: string[] = [];
  readonly refused: string[] = [];
  now = 1_000_000;
  expiresAt = 2_000_000;
  admit: (hello: Hello) => void | Promise<void> = () => {};
  readonly core: RelayCore;
  #ids = 0;
  #changed: () => void = () => {};

  constructor(bounds: RelayBounds = {}) {
    const tell = (line: string) => {
      this.log.push(line);
      this.#changed();
    };
    this.core = new RelayCore("test", {
      now: () => this.now,
      admit: async (hello) => {
        await this.admit(hello);
        return { session: `s${++this.#ids}`, name: hello.name, expiresAt: this.expiresAt };
      },
      attached: (share) => tell(`+${share.id}`),
      detached: (share, reason) => tell(`-${share.id} ${reason}`),
      refused: (code) => {
        this.refused.push(code);
        this.#changed();
      },
    }, bounds);
  }

  /** Resolves once `done` holds; it is asked whenever the core tells something. */
  async until(done: () => boolean): Promise<void> {
    while (!done()) await new Promise<void>((resolve) => this.#changed = resolve);
  }

  connect(): MemoryPair & { readonly served: Promise<void> } {
    const pair = memoryPair();
    return { ...pair, served: this.core.serve(pair.server) };
  }

  async attach(hello: Partial<Hello> = {}): Promise<MemoryPair & { control: Control; served: Promise<void> }> {
    const pair = this.connect();
    const { control } = await dialHandshake(pair.client, { ...HELLO, ...hello }, 1000);
    return { ...pair, control };
  }
}

/** Sends raw bytes as the control stream of a session. */
async function say(session: Session, ...parts: Uint8Array[]): Promise<void> {
  const writer = (await session.openStream()).writable.getWriter();
  for (const part of parts) await writer.write(part);
}

/** A message whose CBOR the encoder would not make. */
function message(...cbor: number[]): Uint8Array {
  return new Uint8Array([...encodeVarint(cbor.length), ...cbor]);
}

Deno.test("a share is attached from its WELCOME to the end of its session", async () => {
  const relay = new Relay();
  const { client, served } = await relay.attach();
  assert.equal(relay.core.registry.get(HELLO.name)?.id, "s1");
  assert.equal(relay.core.pending, 0);
  client.close({ code: 0, reason: "done" });
  await served;
  assert.deepEqual(relay.log, ["+s1", "-s1 done"]);
  assert.equal(relay.core.registry.size, 0);
  assert.deepEqual(relay.refused, []);
});

Deno.test("a newer agent takes over; the older one is told why before its session ends", async () => {
  const relay = new Relay();
  const older = await relay.attach();
  const newer = await relay.attach();
  assert.deepEqual(await older.control.read(), {
    t: "bye",
    code: "share-replaced",
    message: "A newer spanway with the same key took over.",
  });
  assert.equal(relay.core.registry.get(HELLO.name)?.id, "s2");
  older.client.close();
  await older.served;
  assert.deepEqual(relay.log, ["+s1", "-s1 share-replaced", "+s2"]);
  assert.equal(relay.core.registry.get(HELLO.name)?.id, "s2");
  newer.client.close();
  await newer.served;
  assert.equal(relay.core.registry.size, 0);
});

Deno.test("the sweep ends what has expired, and nothing else", async () => {
  const relay = new Relay();
  const short = await relay.attach();
  relay.expiresAt = 3_000_000;
  const long = await relay.attach({ name: "calm-heron-0002" });
  relay.core.sweep();
  assert.equal(relay.core.registry.size, 2);
  relay.now = 2_000_000;
  relay.core.sweep();
  assert.equal(relay.core.registry.get(HELLO.name), undefined);
  const bye = await short.control.read();
  assert.equal(bye?.t === "bye" && bye.code, EndCode.EXPIRED);
  await short.served;
  assert.deepEqual(relay.log, ["+s1", "+s2", "-s1 share-expired"]);
  long.client.close();
  await long.served;
});

Deno.test("an attachment that has expired by the time it is made is refused", async () => {
  const relay = new Relay();
  relay.expiresAt = relay.now;
  await assert.rejects(relay.attach(), { code: "share-expired" });
  assert.deepEqual(relay.refused, ["share-expired"]);
});

Deno.test("an order to end meets only the attachment that it means", async () => {
  const relay = new Relay();
  const share = await relay.attach();
  assert.equal(relay.core.end(HELLO.name, "another", EndCode.ENDED, "over"), false);
  assert.equal(relay.core.end("nobody", undefined, EndCode.ENDED, "over"), false);
  assert.equal(relay.core.end(HELLO.name, "s1", EndCode.ENDED, "over"), true);
  const bye = await share.control.read();
  assert.deepEqual(bye, { t: "bye", code: "share-ended", message: "over" });
  await share.served;
});

Deno.test("a refusal carries its code and message, and is counted", async () => {
  for (
    const error of [
      new TicketError("ticket-forged", "The signature is wrong."),
      new ServiceError("share-ended", "It was ended."),
    ]
  ) {
    const relay = new Relay();
    relay.admit = () => Promise.reject(error);
    const { client, served } = relay.connect();
    await assert.rejects(dialHandshake(client, HELLO, 1000), { code: error.code, message: error.message });
    client.close();
    await served;
    assert.deepEqual(relay.refused, [error.code]);
    assert.deepEqual([relay.log, relay.core.pending], [[], 0]);
  }
});

Deno.test("a version that is not spoken here is refused with what to do", async () => {
  const relay = new Relay();
  const { client, served } = relay.connect();
  const stream = await client.openStream();
  const writer = stream.writable.getWriter();
  await writer.write(encodeControl({ t: "hello", versions: [2, 99], ...HELLO }));
  const { value } = await stream.readable.getReader().read();
  assert.match(new TextDecoder().decode(value), /unsupported-version.*spanway\/1.*spanway\/2, 99/);
  client.close();
  await served;
  assert.deepEqual(relay.refused, ["unsupported-version"]);
});

Deno.test("garbage instead of HELLO is refused by kind", async () => {
  const deep = Array.from({ length: 40 }, () => 0x81);
  const cases: [string, Uint8Array][] = [
    ["malformed", message(0xff)],
    ["malformed", message(0x83, 1, 2, 3)],
    ["malformed", message(0xa1, 0x61, 0x74, 0x01)],
    ["too-deep", message(...deep, 0)],
    ["too-many-items", message(0x9a, 0x7f, 0xff, 0xff, 0xff)],
    ["too-large", encodeVarint(CONTROL_MESSAGE_MAX_BYTES + 1)],
    ["too-large", encodeVarint(2 ** 31)],
    ["unexpected", encodeControl({ t: "ping", n: 1 })],
  ];
  for (const [code, bytes] of cases) {
    const relay = new Relay();
    const { client, served } = relay.connect();
    await say(client, bytes);
    await relay.until(() => relay.refused.length > 0);
    client.close();
    await served;
    assert.deepEqual(relay.refused, [code], String(bytes));
  }
});

Deno.test("garbage after WELCOME ends the share with a counted reason", async () => {
  const relay = new Relay();
  const pair = relay.connect();
  await say(pair.client, encodeControl({ t: "hello", versions: [1], ...HELLO }), message(0xff));
  await pair.served;
  assert.deepEqual(relay.refused, ["malformed"]);
  assert.deepEqual(relay.log.length, 2);
});

Deno.test("a session that says nothing is ended after the handshake's time", async () => {
  const relay = new Relay({ handshakeMs: 30 });
  const silent = relay.connect();
  await silent.served;
  assert.deepEqual(relay.refused, ["connect-timeout"]);
  assert.equal((await silent.client.closed).code, 1);
  assert.equal(relay.core.pending, 0);
});

Deno.test("a session that never reads its refusal is ended all the same", async () => {
  const relay = new Relay();
  relay.admit = () => Promise.reject(new TicketError("ticket-expired", "x".repeat(900)));
  const pair = memoryPair({ streamWindowBytes: 64 });
  const served = relay.core.serve(pair.server);
  void say(pair.client, encodeControl({ t: "hello", versions: [1], ...HELLO })).catch(() => {});
  await served;
  assert.equal((await pair.client.closed).code, 1);
  assert.equal(relay.core.pending, 0);
});

Deno.test("an agent that never reads its control stream can be ended all the same", async () => {
  const relay = new Relay();
  const pair = memoryPair({ streamWindowBytes: 8 });
  const served = relay.core.serve(pair.server);
  void say(pair.client, encodeControl({ t: "hello", versions: [1], ...HELLO })).catch(() => {});
  await relay.until(() => relay.log.length > 0);
  assert.equal(relay.core.end(HELLO.name, undefined, EndCode.ENDED, "x".repeat(100)), true);
  await served;
  assert.equal((await pair.client.closed).code, 1);
});

Deno.test("strangers who say nothing push one another out, never somebody with a ticket", async () => {
  const relay = new Relay({ pending: 3, handshakeMs: 5000 });
  const silent = [relay.connect(), relay.connect(), relay.connect()];
  const share = await relay.attach();
  assert.deepEqual(relay.refused, ["too-many-sessions"]);
  await silent[0]!.served;
  assert.equal((await silent[0]!.client.closed).reason, "too many sessions");

  // Where all that wait have shown their tickets, the newcomer has to go.
  let decide: () => void = () => {};
  const decided = new Promise<void>((resolve) => decide = resolve);
  const busy = new Relay({ pending: 2, handshakeMs: 5000 });
  let asked = 0;
  let bothAsked: () => void = () => {};
  const both = new Promise<void>((resolve) => bothAsked = resolve);
  busy.admit = () => {
    if (++asked === 2) bothAsked();
    return decided;
  };
  const first = busy.attach({ name: "one-share-0001" });
  const second = busy.attach({ name: "two-share-0002" });
  await both;
  await assert.rejects(busy.attach(), { code: "session-closed" });
  assert.deepEqual(busy.refused, ["too-many-sessions"]);
  decide();
  for (const each of [await first, await second, share, ...silent]) {
    each.client.close();
    await each.served;
  }
});

Deno.test("no more shares than allowed are attached", async () => {
  const relay = new Relay({ sessions: 1 });
  const share = await relay.attach();
  await assert.rejects(relay.attach({ name: "two-share-0002" }), { code: "session-closed" });
  assert.deepEqual(relay.refused, ["too-many-sessions"]);
  share.client.close();
  await share.served;
});

Deno.test("streams that the agent opens towards the relay lead nowhere, and the share stays", async () => {
  const relay = new Relay();
  const share = await relay.attach();
  for (let i = 0; i < 20; i++) {
    const stream = await share.client.openStream();
    await stream.writable.getWriter().write(new Uint8Array(10)).catch(() => {});
    assert.ok((await stream.readable.getReader().read()).done);
  }
  await share.control.send({ t: "ping", n: 7 });
  assert.deepEqual(await share.control.read(), { t: "pong", n: 7 });
  share.client.close();
  await share.served;
});

Deno.test("a relay that goes down says so to every agent and waits for them", async () => {
  const relay = new Relay();
  const one = await relay.attach();
  const two = await relay.attach({ name: "two-share-0002" });
  const closing = relay.core.close();
  for (const { control, client } of [one, two]) {
    const bye = await control.read();
    assert.equal(bye?.t === "bye" && bye.code, EndCode.GOING_AWAY);
    client.close();
  }
  await closing;
  assert.equal(relay.core.registry.size, 0);
});
