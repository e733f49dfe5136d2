import assert from "node:assert/strict";
import { LinkError } from "../../shared/errors.ts";
import { findTargetHost } from "./target_host.ts";

const OWN = new Set(["127.0.0.1", "::1", "192.168.1.5", "fe80::5", "fd00::5"]);

/** `here` and what is dialled, or the other machine. `found` is what the name leads to. */
async function find(host: string | undefined, found?: readonly string[]): Promise<string> {
  const target = await findTargetHost(host, () => OWN, (name) => {
    if (found === undefined) return Promise.reject(new LinkError("name-unknown", `no ${name}`));
    return Promise.resolve(found);
  });
  return target.kind === "here" ? `here ${target.addresses.join(" ")}` : `${target.kind} ${target.label}`;
}

Deno.test("targets on this machine are known by whatever name", async () => {
  for (
    const host of [undefined, "", "localhost", "app.localhost", "127.0.0.1", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1"]
  ) {
    assert.equal(await find(host), "here 127.0.0.1 ::1", host);
  }
  assert.equal(await find("127.0.0.5"), "here 127.0.0.5 127.0.0.1 ::1");
  assert.equal(await find("192.168.1.5"), "here 192.168.1.5 127.0.0.1 ::1");
  assert.equal(await find("app.test", ["127.0.0.1"]), "here 127.0.0.1 ::1");
  assert.equal(await find("app.test", ["127.0.1.1", "fe80::5"]), "here 127.0.1.1 127.0.0.1 ::1");
  assert.equal(
    await find("me", ["192.168.1.5", "fd00::5", "127.0.0.9", "::1"]),
    "here 192.168.1.5 fd00::5 127.0.0.1 ::1",
  );
  // Odd words that the owner typed are taken for what they lead to.
  assert.equal(await find("127.1", ["127.0.0.1"]), "here 127.0.0.1 ::1");
});

Deno.test("other machines are others, and stay so", async () => {
  assert.equal(await find("192.168.1.9"), "address 192.168.1.9");
  assert.equal(await find("FE80::1"), "address fe80::1");
  assert.equal(await find("db.internal", ["10.0.0.1"]), "name db.internal");
  assert.equal(await find("DB.internal", ["10.0.0.1", "127.0.0.1"]), "name db.internal");
  // Not known yet: it may not lead here later.
  assert.equal(await find("db.internal"), "name db.internal");
  assert.equal(await find("db.internal", []), "name db.internal");
});
