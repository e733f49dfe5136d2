import assert from "node:assert/strict";
import { SSH_PASSWORD_TRIES } from "../../../shared/limits.ts";
import { SshError } from "../../errors.ts";
import { askNewPassword, askPassword } from "./ask_password.ts";

/** Somebody with answers: undefined is Ctrl-C. */
function person(...answers: (string | undefined)[]) {
  const asked: string[] = [];
  const told: string[] = [];
  return {
    asked,
    told,
    ask: (question = "") => {
      assert.ok(asked.length < answers.length, `one question too many: ${question}`);
      return Promise.resolve(answers[asked.push(question) - 1]);
    },
    say: (text: string) => void told.push(text),
  };
}

const anything = () => undefined;

Deno.test("a new password that is typed the same twice is taken", async () => {
  const { ask, say, asked, told } = person("one good one", "one good one");
  assert.equal(await askNewPassword(ask, say, anything), "one good one");
  assert.deepEqual(asked, ["New password: ", "The same again: "]);
  assert.deepEqual(told, []);
});

Deno.test("weakness is said with its reason, and a slip of the finger costs one round", async () => {
  const { ask, say, asked, told } = person("weak", "one good one", "one god one", "one good one", "one good one");
  const check = (password: string) => password === "weak" ? "it is short." : undefined;
  assert.equal(await askNewPassword(ask, say, check), "one good one");
  assert.equal(asked.length, 5);
  assert.deepEqual(told, ["That password is too weak: it is short.", "The two were not the same."]);
});

Deno.test("what cannot be a password is refused even when weak ones are wanted", async () => {
  const { ask, say, told } = person("", "x", "x");
  assert.equal(await askNewPassword(ask, say, anything), "x");
  assert.deepEqual(told, ["That cannot be one: it is empty."]);
});

Deno.test("nobody is asked for a new password for ever", async () => {
  const { ask, say, told } = person(...Array(SSH_PASSWORD_TRIES).fill("weak"));
  await assert.rejects(askNewPassword(ask, say, () => "it is short."), { name: "SshError", code: "ssh-password" });
  assert.equal(told.length, SSH_PASSWORD_TRIES);
});

Deno.test("whoever gives up at either question has chosen nothing", async () => {
  for (const answers of [[undefined], ["one good one", undefined]]) {
    const { ask, say } = person(...answers);
    assert.equal(await askNewPassword(ask, say, anything), undefined);
  }
  const { ask, say } = person(undefined);
  assert.equal(await askPassword(ask, () => assert.fail("opened with nothing"), say), undefined);
});

const wrong = () => new SshError("ssh-password", "It does not open.");

Deno.test("a password may be tried three times", async () => {
  const right = (password: string) => {
    if (password !== "right") throw wrong();
    return 42;
  };
  const lucky = person("wrong", "wrong", "right");
  assert.equal(await askPassword(lucky.ask, right, lucky.say), 42);
  assert.deepEqual(lucky.told, ["It does not open.", "It does not open."]);
  const unlucky = person("wrong", "wrong", "wrong");
  await assert.rejects(askPassword(unlucky.ask, right, unlucky.say), { code: "ssh-password" });
  assert.equal(unlucky.told.length, 2);
});

Deno.test("another failure than a wrong password ends the questions", async () => {
  const { ask, say, asked } = person("any", "other");
  const damaged = new SshError("ssh-key-damaged", "It is cut off.");
  await assert.rejects(askPassword(ask, () => Promise.reject(damaged), say), damaged);
  assert.equal(asked.length, 1);
});
