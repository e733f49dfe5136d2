import assert from "node:assert/strict";
import { MemoryEnd } from "../../shared/link/testing/memory_end.ts";
import type { TcpListener } from "../../shared/link/ends.ts";
import { HeldEnd } from "./held_end.ts";

const BYTES = new TextEncoder().encode("hello");

/** What a link hears of its local end. */
class Heard implements TcpListener {
  readonly told: string[] = [];
  data(bytes: Uint8Array): void {
    this.told.push(new TextDecoder().decode(bytes));
  }
  end(): void {
    this.told.push("end");
  }
  drain(): void {
    this.told.push("drain");
  }
  broken(): void {
    this.told.push("broken");
  }
}

function started(): { held: HeldEnd; heard: Heard; isAttached: () => Promise<boolean> } {
  const [held, heard] = [new HeldEnd(), new Heard()];
  held.start(heard);
  let attached = false;
  void held.attached.then(() => attached = true);
  return { held, heard, isAttached: () => Promise.resolve().then(() => attached) };
}

Deno.test("once there is a socket, everything goes through to it and back", async () => {
  const { held, heard, isAttached } = started();
  assert.equal(await isAttached(), false);
  const inner = new MemoryEnd();
  inner.say("early");
  held.attach(inner);
  assert.equal(await isAttached(), true);
  inner.say("late");
  let taken = false;
  assert.equal(held.write(BYTES, () => taken = true), true);
  await Promise.resolve();
  assert.deepEqual([inner.text, taken], ["hello", true]);
  inner.stuck = true;
  assert.equal(held.write(BYTES, () => {}), false);
  held.pause();
  assert.equal(inner.paused, true);
  held.resume();
  assert.equal(inner.paused, false);
  inner.finish();
  held.end();
  assert.equal(inner.state, "ended");
  held.close();
  assert.equal(inner.closed, true);
  assert.deepEqual(heard.told, ["early", "late", "end"]);
});

Deno.test("a link that wants no bytes yet gets none from a socket that comes later", () => {
  for (const last of ["pause", "resume"] as const) {
    const { held } = started();
    held.pause();
    held[last]();
    const inner = new MemoryEnd();
    held.attach(inner);
    assert.equal(inner.paused, last === "pause");
  }
});

Deno.test("before there is a socket nothing that is written counts as taken, and nothing fails", async () => {
  const { held, heard } = started();
  held.write(BYTES, () => assert.fail("taken by nobody"));
  held.end();
  held.resume();
  await Promise.resolve();
  assert.deepEqual(heard.told, []);
});

Deno.test("a link that lets go before there is a socket has the one that still comes reset", async () => {
  for (const letGo of ["reset", "close"] as const) {
    const { held, heard, isAttached } = started();
    held[letGo]();
    assert.equal(await isAttached(), true, "nobody waits for it any more");
    const inner = new MemoryEnd();
    held.attach(inner);
    held.abandon();
    assert.deepEqual([inner.state, heard.told], ["reset", []]);
  }
});

Deno.test("a program that is gone breaks the connection, once, with a socket and without", async () => {
  for (const withSocket of [true, false]) {
    const { held, heard, isAttached } = started();
    const inner = new MemoryEnd();
    if (withSocket) held.attach(inner);
    held.abandon();
    held.abandon();
    assert.equal(await isAttached(), true);
    assert.deepEqual(heard.told, ["broken"]);
    if (!withSocket) held.attach(inner);
    assert.equal(inner.state, "reset");
  }
});

Deno.test("a link that plugs in what is abandoned already hears of it, but not from within", async () => {
  const [held, heard] = [new HeldEnd(), new Heard()];
  held.abandon();
  await held.attached;
  held.start(heard);
  assert.deepEqual(heard.told, []);
  await Promise.resolve();
  assert.deepEqual(heard.told, ["broken"]);
});

Deno.test("a socket that comes before the link is there is reset", () => {
  const [held, inner] = [new HeldEnd(), new MemoryEnd()];
  held.attach(inner);
  assert.equal(inner.state, "reset");
});
