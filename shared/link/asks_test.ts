import assert from "node:assert/strict";
import { AnswerError, LinkError, ServiceError } from "../errors.ts";
import { LINK_ASK_MAX_BYTES, LINK_ASK_TIMEOUT_MS, LINK_ASKS_MAX } from "../limits.ts";
import { type Answerer, OwnAsks, ServedAsks } from "./asks.ts";
import type { LinkMessage } from "./link_control.ts";

/** Both sides, with the messages between them in the test's hands. */
function world(answer: Answerer) {
  const sent: LinkMessage[] = [];
  const timers: { ms: number; action: () => void }[] = [];
  const own = new OwnAsks((message) => void sent.push(message), (ms, action) => void timers.push({ ms, action }));
  const served = new ServedAsks(answer, (message) => {
    assert.equal(message.t, "answer");
    if (message.t === "answer") own.answered(message);
  });
  const deliver = () => {
    for (const message of sent.splice(0)) if (message.t === "ask") void served.asked(message);
  };
  return { own, sent, timers, deliver };
}

const bytes = (...values: number[]) => Uint8Array.of(...values);

Deno.test("a question gets its own answer, whatever comes first", async () => {
  const open: (() => void)[] = [];
  const { own, deliver } = world(async (about, data) => {
    await new Promise<void>((resolve) => open.push(resolve));
    return bytes(about.length, ...data);
  });
  const answers = [own.ask("ssh", bytes(1)), own.ask("ssh-claim", bytes(2)), own.ask("s")];
  deliver();
  for (const answer of open.reverse()) answer();
  assert.deepEqual(await Promise.all(answers), [bytes(3, 1), bytes(9, 2), bytes(1)]);
});

Deno.test("a no arrives with its code, its words and its hint; what is no error of ours arrives without any", async () => {
  const errors: Record<string, unknown> = {
    a: new ServiceError("rate-limited", "Too often.", { hint: "Wait." }),
    b: new LinkError("not-allowed", "x".repeat(5000)),
    c: new TypeError("secret of the inside"),
  };
  const { own, deliver } = world((about) => Promise.reject(errors[about]));
  const answers = ["a", "b", "c"].map((about) => own.ask(about).catch((error) => error));
  deliver();
  const [a, b, c] = await Promise.all(answers);
  assert.ok([a, b, c].every((error) => error instanceof AnswerError));
  assert.deepEqual([a.code, a.message, a.hint], ["rate-limited", "Too often.", "Wait."]);
  assert.deepEqual([b.code, b.message.length, b.hint], ["not-allowed", 1000, undefined]);
  assert.equal(c.code, "internal");
  assert.doesNotMatch(c.message, /secret/);
});

Deno.test("only so many questions wait, on either side, and each place is free again afterwards", async () => {
  const open: (() => void)[] = [];
  const { own, deliver, sent } = world(async () => {
    await new Promise<void>((resolve) => open.push(resolve));
    return bytes();
  });
  for (let round = 0; round < 3; round++) {
    const answers = Array.from({ length: LINK_ASKS_MAX }, () => own.ask("x"));
    await assert.rejects(own.ask("x"), { code: "too-many-streams" });
    // No two of them share a place in what waits to be sent.
    assert.equal(new Set(sent.map((message) => message.t === "ask" ? message.n % LINK_ASKS_MAX : -1)).size, 8);
    deliver();
    for (const answer of open.splice(0)) answer();
    await Promise.all(answers);
  }
  const refused: LinkMessage[] = [];
  const served = new ServedAsks(() => new Promise<Uint8Array>(() => {}), (message) => void refused.push(message));
  for (let n = 0; n < LINK_ASKS_MAX + 3; n++) void served.asked({ n, about: "x", data: bytes() });
  assert.deepEqual(refused.map((each) => each.t === "answer" && [each.n, each.code]), [
    [8, "too-many-streams"],
    [9, "too-many-streams"],
    [10, "too-many-streams"],
  ]);
});

Deno.test("a question without an answer ends after its time, and what comes then is passed over", async () => {
  const { own, timers, sent } = world(() => Promise.resolve(bytes()));
  const answer = own.ask("x");
  assert.deepEqual(timers.map(({ ms }) => ms), [LINK_ASK_TIMEOUT_MS]);
  timers[0]!.action();
  await assert.rejects(answer, { code: "timed-out" });
  own.answered({ n: 0, code: "", message: "", hint: "", data: bytes() });
  own.answered({ n: 77, code: "x", message: "", hint: "", data: bytes() });
  sent.length = 0;
  const next = own.ask("y");
  own.answered({ n: 1, code: "", message: "", hint: "", data: bytes(5) });
  timers[1]!.action();
  assert.deepEqual(await next, bytes(5));
});

Deno.test("when the link is over nobody waits any more", async () => {
  const { own } = world(() => Promise.resolve(bytes()));
  const open = own.ask("x");
  own.end(new LinkError("link-closed", "gone"));
  await assert.rejects(open, { code: "link-closed" });
  await assert.rejects(own.ask("y"), { code: "link-closed" });
});

Deno.test("an answer that is too large is a mistake of the share, and told as one", async () => {
  const { own, deliver } = world(() => Promise.resolve(new Uint8Array(LINK_ASK_MAX_BYTES + 1)));
  const answer = own.ask("x");
  deliver();
  await assert.rejects(answer, { code: "internal" });
});
