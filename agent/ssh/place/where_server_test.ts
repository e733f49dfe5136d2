import assert from "node:assert/strict";
import { join } from "node:path";
import { withDir, writeScript } from "./testing/place_world.ts";
import { parseSshG, parseVagrantConfig, serverOfHost } from "./where_server.ts";

Deno.test("what ssh -G says is understood, and nothing else", () => {
  const text = "host build\nuser me\nhostname 10.0.0.7\nport 2222\naddressfamily any\nhostname other\n";
  assert.deepEqual(parseSshG(text), { host: "10.0.0.7", port: 2222, user: "me" });
  assert.deepEqual(parseSshG("user a@b.example\nhostname fe80::1\nport 22\n")?.host, "fe80::1");
  for (
    const wrong of [
      "",
      "user me\nport 22\n",
      "user me\nport 22\nhostname -x\n",
      "user me\nport 0\nhostname a\n",
      "user -l\nport 22\nhostname a\n",
    ]
  ) {
    assert.equal(parseSshG(wrong), undefined, wrong);
  }
});

Deno.test("what vagrant ssh-config says is understood, for one machine and for many", () => {
  const text = `Host default
  HostName 127.0.0.1
  User vagrant
  Port 2222
  UserKnownHostsFile /dev/null
  StrictHostKeyChecking no
  IdentityFile "/home/me/a b/.vagrant/machines/default/virtualbox/private_key"

Host "web"\r
  HostName 192.168.56.10\r
  User "vagrant"\r
  Port 22\r
`;
  assert.deepEqual(parseVagrantConfig(text), [
    { name: "default", host: "127.0.0.1", port: 2222, user: "vagrant" },
    { name: "web", host: "192.168.56.10", port: 22, user: "vagrant" },
  ]);
  assert.deepEqual(parseVagrantConfig(""), []);
  assert.deepEqual(parseVagrantConfig("Host default\n  HostName 127.0.0.1\n  User -x\n  Port 22\n"), []);
});

Deno.test("a host that is reached by way of another is told as one, and not tried in vain", () =>
  withDir(async (dir) => {
    const ssh = join(dir, "ssh");
    for (const line of ["proxyjump jump.example", "proxycommand nc jump.example 22"]) {
      writeScript(ssh, `printf 'user me\\nhostname build.example\\nport 22\\n${line}\\n'\n`);
      await assert.rejects(serverOfHost(ssh, ["build"], "build"), { code: "ssh-place-failed" });
    }
    writeScript(ssh, `printf 'user me\\nhostname build.example\\nport 22\\nproxycommand none\\n'\n`);
    assert.deepEqual(await serverOfHost(ssh, ["build"], "build"), { host: "build.example", port: 22, user: "me" });
  }));
