import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AddressClaim, claimAddress } from "./share_address.ts";

const KEY = { relay: "http://relay.test", name: "my-demo", fingerprint: "aaaaaaa-bbbbbbb-ccccccc-ddddddd" };
const ADDRESS = { ip: "172.16.0.7", ip6: "fd00:5350:5741:59::ac10:7" };

async function withDir(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "spanway-addresses-"));
  try {
    await use(join(dir, "addresses"));
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function ours(claim: AddressClaim): AddressClaim & { readonly kind: "ours" } {
  assert.equal(claim.kind, "ours");
  return claim as AddressClaim & { readonly kind: "ours" };
}

Deno.test("the first who connects to a share carries its address, others are told it, and it is remembered", () =>
  withDir(async (dir) => {
    const first = ours(await claimAddress(dir, KEY));
    assert.equal(first.remembered, undefined);
    await first.publish(ADDRESS);
    const second = await claimAddress(dir, KEY);
    assert(second.kind === "carried");
    assert.deepEqual(second.address, ADDRESS);
    assert.equal(await second.isCarried(), true);
    await first.release();
    await first.release();
    assert.equal(await second.isCarried(), false);
    const third = ours(await claimAddress(dir, KEY));
    assert.equal(third.remembered, ADDRESS.ip);
    await third.release();
    assert.equal(ours(await claimAddress(dir, KEY)).remembered, ADDRESS.ip);
  }));

Deno.test("another share, another service, another identity: addresses of their own", () =>
  withDir(async (dir) => {
    const keys = [KEY, { ...KEY, name: "other" }, { ...KEY, relay: "https://x" }, { ...KEY, fingerprint: "e" }];
    const claims = await Promise.all(keys.map((key) => claimAddress(dir, key)));
    for (const claim of claims) await ours(claim).release();
  }));

Deno.test("of many who come at once one carries it", () =>
  withDir(async (dir) => {
    const claims = Promise.all(Array.from({ length: 12 }, async () => {
      const claim = await claimAddress(dir, KEY);
      if (claim.kind === "ours") await claim.publish(ADDRESS);
      return claim;
    }));
    const kinds = (await claims).map(({ kind }) => kind).sort();
    assert.deepEqual(kinds, [...Array<string>(11).fill("carried"), "ours"]);
    for (const claim of await claims) if (claim.kind === "ours") await claim.release();
  }));

Deno.test("what a killed process has left, and nonsense, stand in nobody's way", () =>
  withDir(async (dir) => {
    await ours(await claimAddress(dir, KEY)).release();
    const claim = ours(await claimAddress(dir, KEY));
    await claim.publish(ADDRESS);
    await claim.release();
    const [file = ""] = readdirSync(dir);
    const dead = { port: 1, nonce: "0".repeat(32) };
    for (const text of ["", "{", "null", "[]", '{"ip":5,"port":"x"}', JSON.stringify({ ...ADDRESS, ...dead })]) {
      writeFileSync(join(dir, file), text);
      writeFileSync(join(dir, `${file}.lock`), JSON.stringify(dead));
      const next = ours(await claimAddress(dir, KEY));
      assert.equal(next.remembered, text.includes("172") ? ADDRESS.ip : undefined, text);
      await next.release();
    }
  }));
