import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CERTIFICATE_ANNOUNCE_MS,
  CERTIFICATE_CHECK_MS,
  CERTIFICATE_LIFE_MS,
  CERTIFICATE_RENEW_MS,
} from "../../shared/limits.ts";
import { CertificateKeeper } from "./certificate_keeper.ts";

const START = Date.UTC(2027, 0, 2);
const FILE = "quic-certificate.json";

/** Runs with a directory and a clock of its own. */
async function keeping(
  run: (open: (names?: string[]) => Promise<CertificateKeeper>, clock: { now: number }, dir: string) => Promise<void>,
): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "spanway-certificate-"));
  const clock = { now: START };
  try {
    await run((names = ["localhost"]) => CertificateKeeper.open({ dir, names, now: () => clock.now }), clock, dir);
  } finally {
    await rm(dir, { recursive: true });
  }
}

Deno.test("a restart keeps the certificate, in a file that only its owner can read", () =>
  keeping(async (open, clock, dir) => {
    const before = await open();
    clock.now += CERTIFICATE_RENEW_MS;
    const after = await open();
    assert.deepEqual(after.current, before.current);
    assert.deepEqual(after.hashes, [before.current.sha256]);
    assert.equal((await stat(join(dir, FILE))).mode & 0o777, 0o600);
    assert.deepEqual(await readdir(dir), [FILE]);
  }));

Deno.test("the next certificate is announced, then used; restarts in between change nothing", () =>
  keeping(async (open, clock) => {
    const keeper = await open();
    const first = keeper.current;
    clock.now = first.notAfter - CERTIFICATE_RENEW_MS - 1;
    assert.equal(await keeper.renewIfDue(), false);
    clock.now++;
    assert.equal(await keeper.renewIfDue(), true);
    assert.deepEqual(keeper.current, first);
    assert.equal(keeper.hashes.length, 2);
    const restarted = await open();
    assert.deepEqual(restarted.hashes, keeper.hashes);
    clock.now += CERTIFICATE_ANNOUNCE_MS - 1;
    assert.equal(await keeper.renewIfDue(), false);
    clock.now++;
    assert.equal(await keeper.renewIfDue(), true);
    assert.equal(await restarted.renewIfDue(), true);
    assert.notDeepEqual(keeper.current.sha256, first.sha256);
    assert.deepEqual(restarted.current, keeper.current);
    assert.deepEqual(keeper.hashes, [keeper.current.sha256]);
  }));

Deno.test("checked as often as edges do, no certificate is ever used near its end, nor unannounced", () =>
  keeping(async (open, clock) => {
    const keeper = await open();
    let announced: string[] = [];
    let used = 0;
    for (let i = 0; i < 40 * 24; i++) {
      clock.now += CERTIFICATE_CHECK_MS;
      const before = keeper.current;
      await keeper.renewIfDue();
      if (keeper.current !== before) {
        used++;
        assert.ok(announced.includes(keeper.current.sha256.toHex()));
      }
      assert.ok(keeper.current.notAfter - clock.now > CERTIFICATE_RENEW_MS / 2);
      announced = keeper.hashes.map((hash) => hash.toHex());
    }
    assert.ok(used >= 3);
  }));

Deno.test("after a long sleep an ended certificate is replaced at once", () =>
  keeping(async (open, clock) => {
    const keeper = await open();
    const first = keeper.current;
    clock.now += CERTIFICATE_LIFE_MS * 2;
    assert.equal(await keeper.renewIfDue(), true);
    assert.notDeepEqual(keeper.current.sha256, first.sha256);
    assert.equal(keeper.current.notAfter, clock.now + CERTIFICATE_LIFE_MS);
    assert.deepEqual((await open()).current, keeper.current);
    clock.now += CERTIFICATE_LIFE_MS;
    assert.ok((await open()).current.notAfter > clock.now);
  }));

Deno.test("checks at the same time make one certificate", () =>
  keeping(async (open, clock) => {
    const keeper = await open();
    clock.now = keeper.current.notAfter - 1;
    assert.deepEqual(await Promise.all([keeper.renewIfDue(), keeper.renewIfDue()]), [true, true]);
    assert.equal(keeper.hashes.length, 2);
  }));

Deno.test("other names, a damaged file and a foreign file lead to a new certificate", () =>
  keeping(async (open, _clock, dir) => {
    const first = (await open()).current;
    assert.deepEqual((await open(["localhost"])).current, first);
    const other = (await open(["localhost", "a.example"])).current;
    assert.notDeepEqual(other, first);
    assert.deepEqual((await open(["a.example", "localhost"])).current, other);
    const text = await readFile(join(dir, FILE), "utf8");
    for (const damaged of ["", "{}", "[1]", text.slice(0, 500), text.replace("MII", "XXX"), "null"]) {
      await writeFile(join(dir, FILE), damaged);
      assert.notDeepEqual((await open(["a.example", "localhost"])).current, other);
    }
    assert.equal((await stat(join(dir, FILE))).mode & 0o777, 0o600);
  }));

Deno.test("a directory that cannot be written to is told when the edge starts, and borne later", () =>
  keeping(async (open, clock, dir) => {
    const file = join(dir, "file");
    await writeFile(file, "");
    await assert.rejects(CertificateKeeper.open({ dir: join(file, "x"), names: ["a"], now: () => clock.now }), {
      code: "certificate-unsaved",
    });
    const keeper = await open();
    const first = keeper.current;
    await rm(join(dir, FILE));
    await mkdir(join(dir, FILE, "in the way"), { recursive: true });
    clock.now = first.notAfter;
    assert.equal(await keeper.renewIfDue(), true);
    assert.notDeepEqual(keeper.current.sha256, first.sha256);
  }));
