import assert from "node:assert/strict";
import { SpanwayError } from "../../shared/errors.ts";
import { exitCodeOf } from "./exit_code.ts";
import { type RawSsh, sshOptions, sshPort, sshUser, sshWhere } from "./parse_ssh.ts";

const NONE: RawSsh = { ssh: false, sshOnce: false, sshServer: false, generatePassword: false, weakPassword: false };
const asUsage = (error: unknown) => error instanceof SpanwayError && exitCodeOf(error) === 2 && Boolean(error.hint);

Deno.test("where people log in", () => {
  assert.deepEqual(sshWhere("here"), { kind: "here" });
  assert.deepEqual(sshWhere("vagrant"), { kind: "vagrant", machine: undefined });
  assert.deepEqual(sshWhere("vagrant:web-1"), { kind: "vagrant", machine: "web-1" });
  assert.deepEqual(sshWhere("build"), { kind: "host", user: undefined, host: "build" });
  assert.deepEqual(sshWhere("me@build.example"), { kind: "host", user: "me", host: "build.example" });
  assert.deepEqual(sshWhere("me@[2001:db8::1]"), { kind: "host", user: "me", host: "2001:db8::1" });
  for (
    const text of ["", "@build", "me@", "-oProxyCommand=x", "me@-x", "a b", "me;x@build", "vagrant:", "vagrant:-x"]
  ) {
    assert.throws(() => sshWhere(text), asUsage, `"${text}"`);
  }
});

Deno.test("accounts and ports", () => {
  assert.equal(sshUser("www-data"), "www-data");
  assert.equal(sshPort("2222"), 2222);
  for (const text of ["", "-x", "a b", "a\nb", "x".repeat(65)]) assert.throws(() => sshUser(text), asUsage);
  for (const text of ["", "0", "65536", "22a", "-1", "1e3"]) assert.throws(() => sshPort(text), asUsage);
});

Deno.test("nobody logs in unless asked for, and each of three options asks for it", () => {
  assert.equal(sshOptions(NONE), undefined);
  assert.deepEqual(sshOptions({ ...NONE, ssh: true }), {
    where: { kind: "usual" },
    user: undefined,
    port: undefined,
    authorizedKeys: undefined,
    once: false,
    passwordFile: undefined,
    generatePassword: false,
    weakPassword: false,
  });
  assert.equal(sshOptions({ ...NONE, sshOnce: true })?.once, true);
  assert.deepEqual(sshOptions({ ...NONE, sshServer: true })?.where, { kind: "own-server" });
  assert.deepEqual(sshOptions({ ...NONE, ssh: true, sshUser: "deploy" })?.where, { kind: "here" });
});

Deno.test("options that contradict each other, or say nothing by themselves, are wrong usage", () => {
  const wrong: Partial<RawSsh>[] = [
    { sshUser: "x" },
    { sshPort: 22 },
    { target: { kind: "here" } },
    { generatePassword: true },
    { weakPassword: true },
    { sshPasswordFile: "/x" },
    { ssh: true, generatePassword: true, sshPasswordFile: "/x" },
    { sshServer: true, sshPort: 2222 },
    { sshServer: true, sshUser: "x" },
    { sshServer: true, target: { kind: "here" } },
    { ssh: true, sshUser: "x", target: { kind: "host", user: undefined, host: "build" } },
    { ssh: true, sshAuthorizedKeys: "/x", target: { kind: "vagrant", machine: undefined } },
  ];
  for (const raw of wrong) assert.throws(() => sshOptions({ ...NONE, ...raw }), asUsage, JSON.stringify(raw));
});
