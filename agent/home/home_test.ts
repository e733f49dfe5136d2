import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fingerprint } from "../../shared/identity.ts";
import { homeDir } from "../bin/home_dir.js";
import { decodePem, encodePem } from "./identity_file.ts";
import { Home } from "./home.ts";
import type { RunningShare, ShareKey } from "./running.ts";

async function withHome(work: (home: Home) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "spanway-home-"));
  try {
    await work(new Home(join(dir, "home")));
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

const unix = process.platform !== "win32";

Deno.test("the home is where SPANWAY_HOME says, or where the platform keeps such things", () => {
  const cases: [Record<string, string>, string, string | undefined][] = [
    [{ SPANWAY_HOME: "/x/y", HOME: "/home/me" }, "linux", "/x/y"],
    [{ SPANWAY_HOME: "", HOME: "/home/me" }, "linux", "/home/me/.config/spanway"],
    [{ XDG_CONFIG_HOME: "/cfg", HOME: "/home/me" }, "linux", "/cfg/spanway"],
    [{ HOME: "/Users/me" }, "darwin", "/Users/me/Library/Application Support/spanway"],
    [{}, "linux", undefined],
  ];
  for (const [env, platform, dir] of cases) assert.equal(homeDir(env, platform), dir);
});

Deno.test("the key is made on first use, is private, and stays", () =>
  withHome(async (home) => {
    const first = await home.identity();
    const again = await home.identity();
    assert.deepEqual(again.publicKey, first.publicKey);
    assert.equal(fingerprint(first.publicKey), first.fingerprint);
    if (unix) {
      assert.equal((await stat(home.keyFile)).mode & 0o777, 0o600);
      assert.equal((await stat(home.dir)).mode & 0o777, 0o700);
    }
    assert.deepEqual(await readdir(home.dir), ["identity.pem"]);
  }));

Deno.test("processes that make the key at once end with the same one", () =>
  withHome(async (home) => {
    const keys = await Promise.all(Array.from({ length: 8 }, () => home.identity()));
    assert.equal(new Set(keys.map((key) => key.fingerprint)).size, 1);
  }));

Deno.test("the key file is PKCS #8 in PEM, to the byte", () => {
  const secret = new Uint8Array(32).map((_, index) => index);
  const pem = "-----BEGIN PRIVATE KEY-----\n" +
    "MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n" +
    "-----END PRIVATE KEY-----\n";
  assert.equal(encodePem(secret), pem);
  assert.deepEqual(decodePem(pem), secret);
  assert.deepEqual(decodePem(pem.replaceAll("\n", "\r\n")), secret);
});

Deno.test("a damaged key is explained and never replaced", () =>
  withHome(async (home) => {
    await home.identity();
    const pem = await readFile(home.keyFile, "utf8");
    const damaged = ["", "hello", pem.slice(0, -40), pem.replace("MC4C", "MC5C"), "\0".repeat(10_000), pem + pem];
    for (const text of damaged) {
      await writeFile(home.keyFile, text);
      await assert.rejects(home.identity(), { code: "key-corrupted" });
      assert.equal(await readFile(home.keyFile, "utf8"), text);
    }
  }));

Deno.test({
  name: "a key that others can read is refused, with the command that mends it",
  ignore: !unix,
  fn: () =>
    withHome(async (home) => {
      await home.identity();
      for (const mode of [0o640, 0o604, 0o660, 0o666]) {
        await chmod(home.keyFile, mode);
        await assert.rejects(home.identity(), (error: { code: string; hint: string; message: string }) => {
          assert.equal(error.code, "key-exposed");
          assert.match(error.hint, new RegExp(`chmod 600 '${home.keyFile}'`));
          return true;
        });
      }
      await chmod(home.keyFile, 0o600);
      await home.identity();
    }),
});

Deno.test("a home that cannot be made is explained", async () => {
  const home = new Home("/dev/null/home");
  await assert.rejects(home.identity(), { code: "home-unusable" });
});

const KEY: ShareKey = { relay: "http://localhost:8080", target: "http://localhost:3000" };

/** A process that claims a place, prints its previous name, remembers `name`, and waits to be killed. */
async function shareElsewhere(home: Home, name: string): Promise<{ previous: string; kill(): Promise<void> }> {
  const module = new URL("./home.ts", import.meta.url).href;
  const code = `import { Home } from ${JSON.stringify(module)};
    const share = await new Home(${JSON.stringify(home.dir)}).claimRunning(${JSON.stringify(KEY)});
    await share.remember(${JSON.stringify(name)});
    console.log(String(share.previousName));
    setInterval(() => {}, 1000);`;
  const child = spawn(Deno.execPath(), [
    "run",
    "--no-lock",
    "--allow-all",
    `data:application/typescript,${encodeURIComponent(code)}`,
  ], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(child.stdout, "data");
  return {
    previous: String(line).trim(),
    kill: async () => {
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    },
  };
}

Deno.test("a killed share gets its name back, once; a living one keeps it", () =>
  withHome(async (home) => {
    const other = await shareElsewhere(home, "calm-otter-1234");
    const second = await home.claimRunning(KEY);
    assert.equal(other.previous, "undefined");
    assert.equal(second.previousName, undefined);
    await second.remember("brave-heron-0001");
    await other.kill();

    const back = await home.claimRunning(KEY);
    assert.equal(back.previousName, "calm-otter-1234");
    const third = await home.claimRunning(KEY);
    assert.equal(third.previousName, undefined);
    await Promise.all([second, back, third].map((share) => share.forget()));
  }));

Deno.test("a name survives a second kill before it was used again", () =>
  withHome(async (home) => {
    await (await shareElsewhere(home, "calm-otter-1234")).kill();
    const again = await shareElsewhere(home, "calm-otter-1234");
    assert.equal(again.previous, "calm-otter-1234");
    await again.kill();
    const back = await home.claimRunning(KEY);
    assert.equal(back.previousName, "calm-otter-1234");
    await back.forget();
  }));

Deno.test("a clean end forgets the name and leaves nothing behind", () =>
  withHome(async (home) => {
    const share = await home.claimRunning(KEY);
    await share.remember("calm-otter-1234");
    await share.forget();
    await share.forget();
    assert.deepEqual(await readdir(join(home.dir, "running")), []);
    const next = await home.claimRunning(KEY);
    assert.equal(next.previousName, undefined);
    await next.forget();
  }));

Deno.test("other targets and other services have names of their own", () =>
  withHome(async (home) => {
    await (await shareElsewhere(home, "calm-otter-1234")).kill();
    for (const key of [{ ...KEY, target: "folder:/tmp" }, { ...KEY, relay: "https://example.com" }]) {
      const share = await home.claimRunning(key);
      assert.equal(share.previousName, undefined);
      await share.forget();
    }
  }));

Deno.test("of many that start at once after a kill, one gets the name and all get a place", () =>
  withHome(async (home) => {
    await (await shareElsewhere(home, "calm-otter-1234")).kill();
    const shares: RunningShare[] = await Promise.all(Array.from({ length: 8 }, () => home.claimRunning(KEY)));
    assert.deepEqual(shares.filter((share) => share.previousName !== undefined).length, 1);
    assert.equal((await readdir(join(home.dir, "running"))).length, 8);
    await Promise.all(shares.map((share) => share.forget()));
    assert.deepEqual(await readdir(join(home.dir, "running")), []);
  }));

Deno.test("damaged records are taken over without a name", () =>
  withHome(async (home) => {
    await (await home.claimRunning(KEY)).remember("calm-otter-1234");
    const dir = join(home.dir, "running");
    const [file = ""] = await readdir(dir);
    for (const text of ["", "{", "null", "[]", '{"port":"x"}', "9".repeat(50_000)]) {
      await writeFile(join(dir, file), text);
      const share = await home.claimRunning(KEY);
      assert.equal(share.previousName, undefined);
      await share.forget();
    }
  }));
