import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testUnless, whyNoProgram } from "../../../tests/support/needs.ts";
import { hostBlock, knownHosts, type LoginSettings } from "./ssh_settings.ts";
import { shellWord } from "../../shell/shell_word.ts";

const SETTINGS: LoginSettings = {
  name: "calm-otter-1234",
  user: "me",
  files: { knownHosts: "/run/a b/100%/known_hosts", identity: "/run/a b/key.pub", agent: "/run/a b/100%/agent" },
  proxy: ["/usr/bin/node", "/opt/it's/pipe.js", "/run/a b/100%/link"],
  afterLogin: "echo > '/run/a b/100%/in'",
};

Deno.test("host keys stand under a name that no real host has", () => {
  assert.equal(
    knownHosts("calm-otter-1234", ["ssh-ed25519 AAAA", "ssh-rsa BBBB"]),
    "calm-otter-1234.spanway ssh-ed25519 AAAA\ncalm-otter-1234.spanway ssh-rsa BBBB\n",
  );
});

Deno.test("words stay words in a shell", () => {
  const words = ["plain", "a b", "it's", "$HOME", "`x`", "", "#x", "a;b", "*", "~", "\\"];
  const shown = execFileSync("sh", ["-c", `printf '%s\\n' ${words.map(shellWord).join(" ")}`], { encoding: "utf8" });
  assert.deepEqual(shown.split("\n").slice(0, -1), words);
});

testUnless(whyNoProgram("ssh"), "ssh understands the block as it is meant, with odd paths too", () => {
  const dir = mkdtempSync(join(tmpdir(), "spanway-settings-"));
  try {
    const config = join(dir, "config");
    writeFileSync(config, hostBlock(SETTINGS));
    const text = execFileSync("ssh", ["-G", "-F", config, SETTINGS.name], { encoding: "utf8" });
    const says = new Map(
      text.trim().split("\n").map((line) => {
        const at = line.indexOf(" ");
        return [line.slice(0, at), line.slice(at + 1)];
      }),
    );
    const expected = {
      user: "me",
      hostname: "calm-otter-1234",
      hostkeyalias: "calm-otter-1234.spanway",
      identitiesonly: "yes",
      preferredauthentications: "publickey",
      stricthostkeychecking: "true",
      globalknownhostsfile: "/dev/null",
      updatehostkeys: "false",
      forwardagent: "no",
      forwardx11: "no",
      permitlocalcommand: "yes",
      serveraliveinterval: "0",
      userknownhostsfile: "/run/a b/100%/known_hosts",
      // ssh shows these as they were written: it replaces `%%` when it uses them.
      proxycommand: "/usr/bin/node '/opt/it'\\''s/pipe.js' '/run/a b/100%%/link'",
      localcommand: "echo > '/run/a b/100%%/in'",
    };
    for (const [key, value] of Object.entries(expected)) assert.equal(says.get(key), value, key);
    assert.match(says.get("identityfile") ?? "", /^\/run\/a b\/key\.pub$/);
  } finally {
    rmSync(dir, { recursive: true });
  }
  return Promise.resolve();
});
