import assert from "node:assert/strict";
import { LinkError } from "../errors.ts";
import { LINK_STREAM_WINDOW_BYTES } from "../limits.ts";
import { LinkKeys } from "./keys.ts";
import { encodeAck, RecordType, sealRecord } from "./record.ts";
import { type CoreEnd, CorePair, raw } from "./testing/core_pair.ts";

const text = (value: string) => new TextEncoder().encode(value);
const types = (end: CoreEnd) => end.sent.map((record) => record[0]!);
const { DATA, END, RESET, ACK, OPENED, DONE } = RecordType;
const tampered = (error: unknown) => error instanceof LinkError && error.code === "tampered";

function assertEmpty(pair: CorePair): void {
  for (const { budgets } of [pair.near, pair.far]) {
    assert.deepEqual([budgets.out.used, budgets.in.used], [0, 0], "memory is left taken");
  }
}

Deno.test("both directions pass, and the share has the last word", () => {
  const pair = new CorePair();
  const { near, far } = pair;
  pair.open();
  near.core.push(text("question"));
  near.core.end();
  far.core.announceOpened();
  pair.settle();
  assert.equal(far.text, "question");
  far.core.push(text("answer"));
  far.core.end();
  pair.pass(far);
  assert.equal(near.text, "answer");
  assert.deepEqual(near.told, ["opened", "end"]);
  assert.deepEqual(types(near), [ACK]);
  pair.pass(near);
  assert.deepEqual(far.told, ["end", "over, in step"]);
  assert.deepEqual(types(far), [DONE]);
  pair.pass(far);
  assert.deepEqual(near.told, ["opened", "end", "over, in step"]);
  assert.deepEqual([near.sent, far.sent], [[], []]);
  assertEmpty(pair);
});

Deno.test("when the share ends first, DONE stands for its last acknowledgement", () => {
  const pair = new CorePair();
  const { near, far } = pair;
  pair.open();
  far.core.end();
  pair.settle();
  near.core.end();
  pair.pass(near);
  assert.deepEqual(types(far), [DONE]);
  pair.settle();
  assert.deepEqual([near.told.at(-1), far.told.at(-1)], ["over, in step", "over, in step"]);
  assertEmpty(pair);
});

Deno.test("a stream ends although each of its last records is lost in turn", () => {
  for (const clean of [true, false]) {
    for (const lost of [0, 1, 2, 3, 4, 5, 6, 7, 8]) {
      const pair = new CorePair();
      const { near, far } = pair;
      pair.open();
      near.core.push(text("up"));
      far.core.push(text("down"));
      near.core.end();
      if (clean) far.core.end();
      else far.core.reset("connection-refused");
      let passed = 0;
      // Records arrive one by one, until the lane breaks.
      for (let i = 0; passed < lost && near.sent.length + far.sent.length > 0; i++) {
        passed += pair.pass(i % 2 === 0 ? near : far, 1);
      }
      pair.cut();
      for (let tries = 0; !near.core.isOver; tries++) {
        assert.ok(tries < 5, "the connecting side asks for ever");
        if (far.core.isOver) {
          // What a share answers to the resumption of a stream that it has forgotten.
          near.core.attachResuming();
          near.core.record(raw(sealRecord(new LinkKeys(new Uint8Array(32), "share").stream(1).send, DONE, 0)));
        } else {
          pair.resume();
          pair.settle();
        }
      }
      assert.ok(far.core.isOver);
      if (clean) {
        assert.deepEqual([near.text, far.text], ["down", "up"]);
        assert.deepEqual([near.told, far.told].flat().filter((event) => event.startsWith("broken")), []);
      } else {
        assert.ok(near.told.includes("broken: connection-refused"));
      }
      assertEmpty(pair);
    }
  }
});

Deno.test("a stream that breaks on both sides while there is no lane is over on both when there is one again", () => {
  const pair = new CorePair();
  const { near, far } = pair;
  pair.open();
  pair.cut();
  near.core.reset("reset");
  far.core.reset("timed-out");
  pair.resume();
  pair.settle();
  assert.deepEqual([near.core.isOver, far.core.isOver], [true, true]);
  assertEmpty(pair);
});

Deno.test("what breaks during a break is told after it, however long it was", () => {
  for (const side of ["near", "far"] as const) {
    const pair = new CorePair();
    pair.open();
    pair.near.core.push(text("x"));
    pair.settle();
    pair.cut();
    // Both directions have said END by then: a stream that was forgotten would look complete.
    pair.near.core.end();
    pair.far.core.end();
    pair[side].core.reset("timed-out");
    for (let i = 0; i < 600; i++) pair.tick();
    pair.resume();
    pair.settle();
    const other = side === "near" ? pair.far : pair.near;
    assert.ok(other.told.includes("broken: timed-out"));
    assert.deepEqual([pair.near.core.isOver, pair.far.core.isOver], [true, true]);
    assertEmpty(pair);
  }
});

Deno.test("a local end that breaks when all is said changes nothing for the other side", () => {
  const pair = new CorePair();
  const { near, far } = pair;
  pair.open();
  far.core.end();
  near.core.end();
  pair.pass(far);
  pair.pass(near, 1);
  far.core.tick();
  pair.pass(near);
  pair.pass(far, 1);
  assert.deepEqual(types(far), [DONE]);
  pair.cut();
  // Everything but DONE has come: there is nobody whom a RESET could reach.
  near.core.reset("reset");
  assert.equal(near.core.isOver, false);
  near.core.attachResuming();
  assert.deepEqual(types(near), []);
});

Deno.test("the lane of a broken stream may be used again only when the RESET was surely read before DONE", () => {
  const pair = new CorePair();
  pair.open();
  pair.far.core.reset("connection-refused");
  pair.settle();
  assert.equal(pair.near.told.at(-1), "over, in step");
  const other = new CorePair();
  other.open();
  other.near.core.reset("reset");
  other.settle();
  assert.equal(other.near.told.at(-1), "over");
  assert.equal(other.far.told.at(-1), "over, in step");
});

Deno.test("bytes that were sent when the lane broke are sent again, from where the peer says", () => {
  const pair = new CorePair();
  const { near, far } = pair;
  pair.open();
  for (const part of ["one ", "two ", "three "]) near.core.push(text(part));
  pair.pass(near, 2);
  pair.cut();
  near.core.push(text("four"));
  assert.deepEqual(near.sent, []);
  pair.resume();
  assert.deepEqual(types(near), []);
  assert.deepEqual(types(far), [ACK]);
  pair.pass(far);
  assert.deepEqual(types(near), [DATA, DATA]);
  pair.settle();
  assert.equal(far.text, "one two three four");
});

Deno.test("a stream whose opening was lost with the path begins on the next", () => {
  const pair = new CorePair();
  pair.near.core.attachFresh();
  pair.near.core.push(text("early"));
  pair.cut();
  pair.resume();
  pair.far.core.announceOpened();
  pair.settle();
  assert.equal(pair.far.text, "early");
  assert.deepEqual(pair.near.told, ["opened"]);
});

Deno.test("nothing is sent beyond the window, and everything once it is taken", () => {
  const pair = new CorePair();
  const { near, far } = pair;
  far.stuck = true;
  pair.open();
  near.core.push(new Uint8Array(3 * LINK_STREAM_WINDOW_BYTES));
  pair.settle();
  assert.equal(far.untaken, LINK_STREAM_WINDOW_BYTES);
  assert.deepEqual(near.told, ["hold"]);
  // What is acknowledged is no more kept, though nobody has taken it.
  pair.tick();
  pair.settle();
  assert.equal(near.budgets.out.used, 0);
  far.stuck = false;
  far.core.consumed(far.untaken);
  pair.settle();
  assert.deepEqual(near.told, ["hold", "go on"]);
  assert.equal(far.text.length, 3 * LINK_STREAM_WINDOW_BYTES);
});

Deno.test("END needs no window", () => {
  const pair = new CorePair();
  pair.far.stuck = true;
  pair.open();
  pair.near.core.push(new Uint8Array(LINK_STREAM_WINDOW_BYTES));
  pair.near.core.end();
  pair.settle();
  assert.deepEqual(pair.far.told, ["end"]);
});

Deno.test("the budget for what waits in the local end is given back when it is taken, or never will be", () => {
  for (const taken of [true, false]) {
    const pair = new CorePair();
    const { near, far } = pair;
    pair.open();
    // Quick use of it makes the window grow.
    for (let i = 0; i < 8; i++) {
      near.core.push(new Uint8Array(LINK_STREAM_WINDOW_BYTES / 2));
      pair.settle();
    }
    assert.ok(far.budgets.in.used > 0);
    far.stuck = true;
    near.core.push(new Uint8Array(1000));
    near.core.end();
    far.core.end();
    pair.settle();
    assert.ok(far.core.isOver && far.budgets.in.used > 0);
    if (taken) far.core.consumed(far.untaken);
    else far.core.reset("reset");
    assertEmpty(pair);
  }
});

Deno.test("a broken stream takes nothing of the budget any more, on whatever lane it comes", () => {
  const pair = new CorePair();
  const { near, far } = pair;
  pair.open();
  for (let i = 0; i < 4; i++) {
    far.core.push(new Uint8Array(LINK_STREAM_WINDOW_BYTES / 2));
    pair.settle();
  }
  near.core.reset("reset");
  near.core.consumed(LINK_STREAM_WINDOW_BYTES);
  near.core.attachResuming();
  assert.deepEqual([near.budgets.in.used, near.budgets.out.used], [0, 0]);
});

Deno.test("a stream that ends with its link breaks its local end once, and never cleanly", () => {
  const pair = new CorePair();
  pair.open();
  pair.near.core.push(text("x"));
  pair.near.core.fail("resume-expired");
  pair.near.core.fail("link-closed");
  pair.near.core.reset("reset");
  assert.deepEqual(pair.near.told, ["broken: resume-expired", "over"]);
  assert.equal(pair.near.budgets.out.used, 0);
});

/** A record sealed with the keys that `from` sends with. */
function made(from: "near" | "far", type: number, number: number, payload?: Uint8Array) {
  const keys = new LinkKeys(new Uint8Array(32), from === "near" ? "connector" : "share").stream(1);
  return raw(sealRecord(keys.send, type, number, payload));
}

Deno.test("a peer that breaks the rules is told from one that keeps them", () => {
  const big = new Uint8Array(60_000);
  const bad: [string, (pair: CorePair) => void][] = [
    ["bytes are missing", ({ far }) => far.core.record(made("near", DATA, 1, text("x")))],
    ["bytes behind the end", ({ far }) => {
      far.core.record(made("near", END, 0));
      far.core.record(made("near", DATA, 0, text("x")));
    }],
    ["an end that leaves out bytes", ({ far }) => far.core.record(made("near", END, 1))],
    ["an end before bytes that came", ({ far }) => {
      far.core.record(made("near", DATA, 0, text("xy")));
      far.core.record(made("near", END, 1));
    }],
    ["another end", ({ far }) => {
      far.core.record(made("near", END, 0));
      far.core.record(made("near", END, 2));
    }],
    ["more than the window", ({ far }) => {
      far.stuck = true;
      for (let i = 0; i < 3; i++) far.core.record(made("near", DATA, i * big.length, big));
    }],
    ["acknowledging what was never sent", ({ near }) => {
      near.core.push(text("abc"));
      near.core.record(made("far", ACK, 0, encodeAck({ received: 4, limit: 10 })));
    }],
    ["acknowledging an end that was never sent", ({ near }) => {
      near.core.record(made("far", ACK, 0, encodeAck({ received: 1, limit: 10 })));
    }],
    ["DONE from the connecting side", ({ far }) => far.core.record(made("near", DONE, 0))],
    ["a type unknown here", ({ far }) => far.core.record(made("near", 9, 0))],
    [
      "what was sealed by nobody",
      ({ far }) => far.core.record({ ...made("near", DATA, 0), sealed: new Uint8Array(20) }),
    ],
    ["our own records", ({ far }) => far.core.record(made("far", DATA, 0, text("x")))],
    ["resuming with bytes that were never sent", ({ far }) => {
      far.core.attachResumed({ received: 1, limit: 10 });
    }],
  ];
  for (const [what, act] of bad) {
    const pair = new CorePair();
    pair.open();
    assert.throws(() => act(pair), tampered, what);
  }
  const pair = new CorePair();
  pair.open();
  assert.throws(() => pair.near.core.record(made("far", ACK, 0, text("short"))), { name: "ProtocolError" });
});

Deno.test("what comes twice does no harm", () => {
  const pair = new CorePair();
  const { near, far } = pair;
  pair.open();
  far.core.announceOpened();
  const twice = [
    made("near", DATA, 0, text("ab")),
    made("near", DATA, 0, text("ab")),
    made("near", DATA, 1, text("bcd")),
    made("near", DATA, 2, text("c")),
    made("near", END, 4),
    made("near", END, 4),
    made("near", DATA, 0, text("ab")),
  ];
  for (const record of twice) far.core.record(record);
  assert.equal(far.text, "abcd");
  assert.deepEqual(far.told, ["end"]);
  for (const record of [made("far", OPENED, 0), made("far", OPENED, 0)]) near.core.record(record);
  assert.deepEqual(near.told, ["opened"]);
});

Deno.test("DONE for a connection that had not ended breaks it", () => {
  const pair = new CorePair();
  pair.open();
  pair.near.core.push(text("x"));
  pair.near.core.record(made("far", DONE, 0));
  assert.deepEqual(pair.near.told, ["broken: reset", "over"]);
});

Deno.test("a reason of a later version is an internal one, and so is none at all", () => {
  for (const payload of [Uint8Array.of(99), new Uint8Array(0), new Uint8Array(2)]) {
    const pair = new CorePair();
    pair.open();
    pair.near.core.record(made("far", RESET, 0, payload));
    assert.deepEqual(pair.near.told, ["broken: internal"]);
  }
});
