import assert from "node:assert/strict";
import { SSH_ENV_MAX, SSH_ENV_VALUE_MAX_CHARS } from "../../../shared/limits.ts";
import { SessionEnv } from "./session_env.ts";

Deno.test("a client sets its language and nothing that could change which programs run", () => {
  const env = new SessionEnv({ PATH: "/bin", LANG: "C" });
  assert.ok(env.take("LANG", "de_AT.UTF-8"));
  assert.ok(env.take("LC_ALL", "C"));
  for (const name of ["PATH", "LD_PRELOAD", "LC_ALL=x", "LC_", "BASH_ENV", "lang", ""]) {
    assert.ok(!env.take(name, "x"), name);
  }
  assert.deepEqual(env.all, { PATH: "/bin", LANG: "de_AT.UTF-8", LC_ALL: "C" });
});

Deno.test("long values and those that the system would cut are refused", () => {
  const env = new SessionEnv({});
  assert.ok(env.take("LANG", "x".repeat(SSH_ENV_VALUE_MAX_CHARS)));
  assert.ok(!env.take("LANG", "x".repeat(SSH_ENV_VALUE_MAX_CHARS + 1)));
  assert.ok(!env.take("LANG", "a\0b"));
});

Deno.test("a client sets a bounded number of variables, and changes those as often as it likes", () => {
  const env = new SessionEnv({});
  const name = (i: number) => `LC_${"ABCDEFGHIJKLMNOPQRSTUVWXYZ"[i]}`;
  for (let i = 0; i < SSH_ENV_MAX; i++) assert.ok(env.take(name(i), "x"));
  assert.ok(!env.take(name(SSH_ENV_MAX), "x"));
  assert.ok(env.take(name(0), "y"));
});
