import assert from "node:assert/strict";
import { INTERIM_HEADS_MAX } from "../limits.ts";
import { AnswerRules } from "./answer_rules.ts";

type Step = number | "end" | readonly [status: number, ...headers: string[]] | { readonly info: number };

/** What an answer comes to: "sound", or the first thing that is wrong. */
function judge(steps: readonly Step[], method = "GET", asked: readonly string[] = []): string {
  const rules = new AnswerRules({ method, target: "/", headers: asked });
  try {
    for (const step of steps) {
      if (typeof step === "number") rules.data(step);
      else if (step === "end") rules.end();
      else if ("info" in step) rules.info({ status: step.info, reason: "", headers: [] });
      else rules.head({ status: step[0], reason: "", headers: step.slice(1) as string[] });
    }
  } catch (error) {
    return (error as Error).message;
  }
  return "sound";
}

Deno.test("answers of every form are let through", () => {
  const sound: [Step[], string?, string[]?][] = [
    [[[200], 3, 4, "end"]],
    [[[200, "Content-Length", "7"], 3, 4, "end"]],
    [[[200, "content-length", "7", "Content-Length", "7"], 7, "end"]],
    [[[200, "content-length", "0"], "end"]],
    [[[200, "content-length", " \t7 "], 7, "end"]],
    [[{ info: 100 }, { info: 103 }, [204], "end"]],
    [[[304, "content-length", "500"], "end"]],
    [[[200, "content-length", "500"], "end"], "HEAD"],
    [[[101], 5, 5, "end"], "GET", ["Connection", "upgrade", "Upgrade", "websocket"]],
    [[[426, "content-length", "2"], 2, "end"], "GET", ["Upgrade", "websocket"]],
  ];
  for (const [steps, method, asked] of sound) assert.equal(judge(steps, method, asked), "sound", JSON.stringify(steps));
});

Deno.test("what is out of order, too long or too short is not", () => {
  const wrong: [string, Step[], string?][] = [
    ["a body before its head", [3]],
    ["an end before the head", ["end"]],
    ["an end before the head", [{ info: 100 }, "end"]],
    ["a second head", [[200], 3, [200]]],
    ["an interim head behind the final one", [[200], { info: 103 }]],
    ["status 103 as the final one", [[103]]],
    ["status 101 as the final one", [[101]]],
    ["status 200 as an interim one", [{ info: 200 }]],
    ["status 101 as an interim one", [{ info: 101 }]],
    ["a body longer than it may be", [[200, "content-length", "7"], 8]],
    ["a body longer than it may be", [[200, "content-length", "7"], 7, 1]],
    ["a body longer than it may be", [[204], 1]],
    ["a body longer than it may be", [[304, "content-length", "7"], 7]],
    ["a body longer than it may be", [[200], 1], "HEAD"],
    ["an end 3 bytes too early", [[200, "content-length", "7"], 4, "end"]],
    ["a length of the body that is none", [[200, "content-length", "7", "content-length", "8"]]],
    ["a length of the body that is none", [[200, "content-length", "7, 7"]]],
    ["a length of the body that is none", [[200, "content-length", "-1"]]],
    ["a length of the body that is none", [[200, "content-length", "0x10"]]],
    ["a length of the body that is none", [[200, "content-length", ""]]],
    ["a length of the body that is none", [[200, "content-length", "\xa07"]]],
    ["a length of the body that is none", [[200, "content-length", "7\x0b"]]],
    ["a length of the body that is none", [[200, "content-length", "9999999999999999"]]],
  ];
  for (const [what, steps, method] of wrong) assert.equal(judge(steps, method), what, JSON.stringify(steps));
});

Deno.test("an answer has only so many interim heads", () => {
  const rules = new AnswerRules({ method: "GET", target: "/", headers: [] });
  const hint = { status: 103, reason: "", headers: [] };
  for (let i = 0; i < INTERIM_HEADS_MAX; i++) rules.info(hint);
  assert.throws(() => rules.info(hint), { code: "unexpected" });
});
