import assert from "node:assert/strict";
import { LinkError } from "../errors.ts";
import { Budget } from "./budget.ts";
import type { StreamEnd, TcpEnd, TcpListener } from "./ends.ts";
import { LinkKeys, type LinkRole } from "./keys.ts";
import type { Lane } from "./lane.ts";
import { LinkStream } from "./link_stream.ts";
import { RecordType, sealRecord } from "./record.ts";
import { raw } from "./testing/core_pair.ts";

const text = (value: string) => new TextEncoder().encode(value);
const turn = () => new Promise<void>((resolve) => setTimeout(resolve));
const keysOf = (role: LinkRole) => new LinkKeys(new Uint8Array(32), role).stream(1);

/** A local end that writes down what is done with it, and takes what the test lets it. */
class Local implements TcpEnd {
  readonly done: string[] = [];
  listener!: TcpListener;
  readonly taken: (() => void)[] = [];
  room = true;

  start(listener: TcpListener): void {
    this.listener = listener;
  }
  write(bytes: Uint8Array, taken: () => void): boolean {
    this.done.push(new TextDecoder().decode(bytes));
    this.taken.push(taken);
    return this.room;
  }
  pause(): void {}
  resume(): void {}
  end(): void {
    this.done.push("end");
  }
  reset(): void {
    this.done.push("reset");
  }
  close(): void {
    this.done.push("close");
  }
}

/** One end of a stream; the test plays the other. */
function world(role: LinkRole, opened?: () => Promise<void> | void) {
  const told: string[] = [];
  const budgets = { out: new Budget(1 << 20), in: new Budget(1 << 20) };
  const host = {
    now: () => 0,
    wireOver: (_: LinkStream, inStep: boolean) => void told.push(`over ${inStep}`),
    finished: () => void told.push("finished"),
  };
  const stream = new LinkStream(1, { host: "", port: 1 }, keysOf(role), role, budgets, host, opened);
  const sent: number[] = [];
  stream.lane = { write: (record: Uint8Array) => void sent.push(record[0]!) } as unknown as Lane;
  stream.core.attachFresh();
  const peer = keysOf(role === "share" ? "connector" : "share").send;
  const say = (type: number, number: number, payload?: Uint8Array) =>
    stream.receive(raw(sealRecord(peer, type, number, payload)));
  const ack = (received: number) => {
    const payload = new Uint8Array(16);
    payload[7] = received;
    payload[13] = 2;
    return say(RecordType.ACK, 0, payload);
  };
  let end: StreamEnd | undefined;
  void stream.ended.then((result) => end = result);
  return { stream, told, sent, say, ack, budgets, local: new Local(), end: () => end };
}

Deno.test("a local end is closed once both directions have ended and it has taken everything, and only then", async () => {
  const { stream, told, say, ack, local, end } = world("share");
  stream.connected(local);
  say(RecordType.DATA, 0, text("hello"));
  say(RecordType.END, 5);
  local.listener.end();
  ack(1);
  assert.deepEqual([local.done, told], [["hello", "end"], ["over true"]]);
  await turn();
  assert.equal(end(), undefined);
  for (const taken of local.taken) taken();
  assert.deepEqual([local.done, told], [["hello", "end", "close"], ["over true", "finished"]]);
  await turn();
  assert.deepEqual(end(), { code: undefined, bytesOut: 0, bytesIn: 5, resumed: 0 });
});

Deno.test("a local end that breaks before it has taken the rest is reset, and not called clean", async () => {
  const { stream, told, say, ack, local, budgets, end } = world("share");
  stream.connected(local);
  say(RecordType.DATA, 0, text("hello"));
  say(RecordType.END, 5);
  local.listener.end();
  ack(1);
  local.listener.broken();
  local.listener.broken();
  for (const taken of local.taken) taken();
  assert.deepEqual([local.done, told], [["hello", "end", "reset"], ["over true", "finished"]]);
  await turn();
  assert.equal(end()!.code, "reset");
  assert.deepEqual([budgets.out.used, budgets.in.used], [0, 0]);
});

Deno.test("a link that ends lets a local end take what it has got of an ended connection, and breaks the others", async () => {
  const one = world("share");
  one.stream.connected(one.local);
  one.say(RecordType.DATA, 0, text("hello"));
  one.say(RecordType.END, 5);
  one.local.listener.end();
  one.ack(1);
  const other = world("share");
  other.stream.connected(other.local);
  for (const { stream } of [one, other]) {
    stream.core.fail("link-closed");
    stream.letGo();
    stream.letGo();
  }
  assert.deepEqual(one.local.done, ["hello", "end", "close"]);
  assert.deepEqual(other.local.done, ["reset"]);
  await turn();
  assert.deepEqual([one.end()!.code, other.end()!.code], [undefined, "link-closed"]);
  assert.deepEqual([one.told.at(-1), other.told.at(-1)], ["finished", "finished"]);
});

Deno.test("nothing is written before who waits for it has been told that the far side has connected", async () => {
  let tell = () => {};
  const { stream, say, local, told, end } = world("connector", () => new Promise<void>((resolve) => tell = resolve));
  stream.startLocal(local);
  say(RecordType.OPENED, 0);
  say(RecordType.DATA, 0, text("banner"));
  say(RecordType.END, 6);
  await turn();
  assert.deepEqual(local.done, []);
  tell();
  await turn();
  assert.deepEqual(local.done, ["banner", "end"]);
  for (const taken of local.taken) taken();
  local.listener.end();
  say(RecordType.DONE, 0);
  assert.deepEqual(told, ["over true", "finished"]);
  await turn();
  assert.equal(end()!.code, undefined);
});

Deno.test("when he who is told fails, the connection is broken on both sides", async () => {
  const { stream, say, sent, local, end } = world("connector", () => Promise.reject(new LinkError("reset", "gone")));
  stream.startLocal(local);
  say(RecordType.OPENED, 0);
  await turn();
  assert.deepEqual([local.done, sent, end()!.code], [["reset"], [RecordType.RESET], "reset"]);
});

Deno.test("a local end that is refused is left to its owner", async () => {
  const { stream, say, local, end, told } = world("connector");
  stream.startLocal(local);
  local.listener.data(text("early"));
  say(RecordType.RESET, 0, Uint8Array.of(2));
  local.listener.data(text("more"));
  local.listener.broken();
  say(RecordType.DONE, 0);
  await turn();
  assert.deepEqual([local.done, end()!.code, told], [[], "not-allowed", ["over true", "finished"]]);
});

Deno.test("a share that calls a connection complete which never began breaks it", async () => {
  const { stream, say, local, end, told } = world("connector");
  stream.startLocal(local);
  local.listener.end();
  say(RecordType.END, 0);
  say(RecordType.DONE, 0);
  await turn();
  assert.deepEqual([end()!.code, local.done, told], ["tampered", [], ["over true", "finished"]]);
});

Deno.test("a target that accepts after the connection broke is reset", () => {
  const { stream, say, local, told } = world("share");
  say(RecordType.DATA, 0, text("early"));
  say(RecordType.RESET, 0, Uint8Array.of(1));
  stream.connected(local);
  assert.deepEqual([local.done, told], [["reset"], ["over true", "finished"]]);
});

Deno.test("a record that is not the peer's breaks the connection as tampered with; our own mistakes do not look like it", async () => {
  const forged = world("share");
  forged.stream.connected(forged.local);
  assert.equal(forged.stream.receive(raw(sealRecord(keysOf("share").send, RecordType.DATA, 0))), false);
  const gap = world("share");
  gap.stream.connected(gap.local);
  assert.equal(gap.say(RecordType.DATA, 3, text("a gap")), false);
  const own = world("share");
  own.stream.connected(own.local);
  own.local.write = () => {
    throw new TypeError("a mistake of ours");
  };
  own.say(RecordType.DATA, 0, text("x"));
  await turn();
  assert.deepEqual([forged.end()!.code, gap.end()!.code, own.end()!.code], ["tampered", "tampered", "internal"]);
  assert.deepEqual([forged.local.done, own.local.done], [["reset"], ["reset"]]);
});

Deno.test("small pieces wait for a local end that is held back, and come in order with large ones", () => {
  const { stream, say, local } = world("share");
  stream.connected(local);
  local.room = false;
  let offset = 0;
  const hear = (size: number, fill: number) => {
    say(RecordType.DATA, offset, new Uint8Array(size).fill(fill));
    offset += size;
  };
  hear(2, 97);
  hear(3, 98);
  hear(1, 99);
  assert.deepEqual(local.done, ["aa"]);
  hear(5000, 100);
  assert.deepEqual(local.done, ["aa", "bbbc", "d".repeat(5000)]);
  hear(1, 101);
  local.room = true;
  local.listener.drain();
  assert.equal(local.done.at(-1), "e");
  hear(1, 102);
  assert.equal(local.done.at(-1), "f");
  local.room = false;
  hear(1, 103);
  hear(1, 104);
  say(RecordType.END, offset);
  assert.deepEqual(local.done.slice(-3), ["g", "h", "end"]);
});
