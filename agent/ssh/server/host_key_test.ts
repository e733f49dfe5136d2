import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testUnless, whyNoProgram } from "../../../tests/support/needs.ts";
import { makeHostKey, publicHostKey } from "./host_key.ts";

testUnless(whyNoProgram("ssh-keygen"), "a host key is what OpenSSH takes for one, with the same public half", () => {
  const dir = mkdtempSync(join(tmpdir(), "spanway-host-key-"));
  try {
    const key = makeHostKey();
    writeFileSync(join(dir, "key"), key, { mode: 0o600 });
    const shown = execFileSync("ssh-keygen", ["-y", "-P", "", "-f", join(dir, "key")], { encoding: "utf8" });
    assert.equal(shown.trim().split(" ", 2).join(" "), publicHostKey(key));
  } finally {
    rmSync(dir, { recursive: true });
  }
  return Promise.resolve();
});

Deno.test("every host key that is made can be used, also one that begins with zeros", () => {
  // One of 256 does: of so many, all but never none.
  for (let i = 0; i < 3000; i++) assert.match(publicHostKey(makeHostKey()), /^ssh-ed25519 AAAA/);
});

Deno.test("what is no host key is refused without showing it", () => {
  for (const text of ["secret", "", makeHostKey().slice(0, 200)]) {
    assert.throws(() => publicHostKey(text), (error: Error) => /no ed25519 key/.test(error.message));
  }
});
