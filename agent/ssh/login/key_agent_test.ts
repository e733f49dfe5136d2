import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { testUnless, whyNoProgram } from "../../../tests/support/needs.ts";
import type { OpenedKey } from "../key/open_key.ts";
import { answer, serveKey } from "./key_agent.ts";

function newKey(): { key: OpenedKey; publicKey: string } {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ type: "spki", format: "der" }).subarray(-32);
  const kind = new TextEncoder().encode("ssh-ed25519");
  const blob = Buffer.concat([Buffer.from([0, 0, 0, 11]), kind, Buffer.from([0, 0, 0, 32]), raw]);
  const key = {
    publicKey: new Uint8Array(blob),
    sign: (data: Uint8Array) => new Uint8Array(sign(null, data, privateKey)),
  };
  return { key, publicKey: `ssh-ed25519 ${blob.toString("base64")}` };
}

async function withAgent(work: (socket: string, dir: string, publicKey: string) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "spanway-agent-"));
  const { key, publicKey } = newKey();
  const agent = await serveKey(join(dir, "agent"), key);
  try {
    await work(join(dir, "agent"), dir, publicKey);
  } finally {
    agent.close();
    rmSync(dir, { recursive: true });
  }
}

testUnless(
  whyNoProgram("ssh-add", "ssh-keygen"),
  "OpenSSH finds the one key in it, and signs with it",
  () =>
    withAgent(async (socket, dir, publicKey) => {
      const env = { ...process.env, SSH_AUTH_SOCK: socket };
      const listed = await promisify(execFile)("ssh-add", ["-L"], { env });
      assert.equal(listed.stdout.split(" ", 2).join(" "), publicKey);
      writeFileSync(join(dir, "key.pub"), `${publicKey}\n`);
      writeFileSync(join(dir, "text"), "hello");
      await promisify(execFile)("ssh-keygen", [
        "-Y",
        "sign",
        "-f",
        join(dir, "key.pub"),
        "-n",
        "test",
        join(dir, "text"),
      ], { env });
      writeFileSync(join(dir, "signers"), `me ${publicKey}\n`);
      const words = ["-Y", "verify", "-f", join(dir, "signers"), "-I", "me", "-n", "test", "-s", join(dir, "text.sig")];
      const verified = promisify(execFile)("ssh-keygen", words);
      verified.child.stdin!.end("hello");
      assert.match((await verified).stdout, /Good "test" signature/);
    }),
);

Deno.test("golden bytes: the list of keys, a signature, and the answer to what is unknown", () => {
  const key: OpenedKey = { publicKey: Uint8Array.of(1, 2), sign: (data) => Uint8Array.of(9, ...data) };
  const hex = (message: number[]) => answer(Uint8Array.from(message), key).toHex();
  assert.equal(hex([11]), "000000160c00000001000000020102000000077370616e776179");
  assert.equal(
    hex([13, 0, 0, 0, 2, 1, 2, 0, 0, 0, 1, 7, 0, 0, 0, 0]),
    "0000001a0e00000015" + "0000000b7373682d65643235353139" + "000000020907",
  );
  for (const other of [[27, 0], [17], [13], [13, 0, 0, 0, 2, 1, 3, 0, 0, 0, 0], [13, 255, 255, 255, 255, 1], []]) {
    assert.equal(hex(other), "0000000105", `${other}`);
  }
});

Deno.test("what is no request of an agent, or for another key, gets no signature and harms nobody", () =>
  withAgent(async (socket, _dir, publicKey) => {
    const other = Buffer.from(newKey().publicKey.split(" ")[1]!, "base64");
    const data = Buffer.from("data");
    const string = (bytes: Uint8Array) => Buffer.concat([Buffer.from([0, 0, 0, bytes.length]), bytes]);
    const request = Buffer.concat([Buffer.from([13]), string(other), string(data), Buffer.alloc(4)]);
    const bad = [
      Buffer.from("GET / HTTP/1.0\r\n\r\n"),
      Buffer.from([0xff, 0xff, 0xff, 0xff, 13]),
      Buffer.from([0, 0, 0, 0]),
      Buffer.concat([Buffer.from([0, 0, 0, request.length]), request]),
    ];
    for (const bytes of bad) {
      const client = connect({ path: socket });
      client.on("error", () => {});
      let answer = Buffer.alloc(0);
      client.on("data", (chunk) => answer = Buffer.concat([answer, chunk]));
      client.end(bytes);
      await once(client, "close");
      assert.notEqual(answer[4], 14, bytes.toString("hex"));
    }
    assert.ok(publicKey);
  }));
