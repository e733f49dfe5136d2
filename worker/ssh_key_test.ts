import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fingerprint, type Identity } from "../shared/identity.ts";
import { API_BODY_MAX_BYTES, CONNECTS_PER_KEY_BURST, SHARE_TICKETS_MAX, SSH_KEY_MAX_BYTES } from "../shared/limits.ts";
import { LONG } from "../tests/support/needs.ts";
import type { Answer } from "./testing/http_call.ts";
import { device, makeTicket, TestService, type TicketOptions } from "./testing/service.ts";

const WINNER = "hh3rhuf-giqst6b-cssqq3t-5i3tmej";

/** workerd lets an object go after 10 s without work, and SQLite closes its files; the rest is for slow machines. */
const CLOSED_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 250;

function refused(answer: Answer, status: number, code: string): void {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.json?.error?.code, code, answer.text);
}

function put(service: TestService, who: Identity, name: string, body: unknown, options: TicketOptions = {}) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const call = { method: "PUT", path: `/api/shares/${name}/ssh-key`, body: text };
  return service.ask(call, who, options.role ?? "owner", name, options);
}

function get(service: TestService, who: Identity, name: string, options: TicketOptions = {}) {
  return service.ask({ path: `/api/shares/${name}/ssh-key` }, who, options.role ?? "connect", name, options);
}

function claim(service: TestService, who: Identity, name: string, by: unknown = WINNER, options: TicketOptions = {}) {
  const call = { method: "POST", path: `/api/shares/${name}/ssh-key/claim`, body: JSON.stringify({ by }) };
  return service.ask(call, who, options.role ?? "owner", name, options);
}

function end(service: TestService, who: Identity, name: string) {
  return service.ask({ method: "DELETE", path: `/api/shares/${name}` }, who, "owner", name);
}

/** A registered share whose login is by a new key of `size` bytes. */
async function shared(
  service: TestService,
  who: Identity,
  name: string,
  { once = true, size = 461, ttlMs = 60_000 } = {},
) {
  const registered = await service.register(who, name, ttlMs);
  assert.ok(registered.status < 300, registered.text);
  const key = new Uint8Array(randomBytes(size));
  const stored = await put(service, who, name, { key: Buffer.from(key).toString("base64url"), once });
  assert.equal(stored.status, 204, stored.text);
  return { key, expiresAt: registered.json.expiresAt as number };
}

/** A device that signs fast, for tests with thousands of tickets. */
function fastDevice(): Identity {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const bytes = new Uint8Array(Buffer.from(publicKey.export({ format: "jwk" }).x!, "base64url"));
  const signed = (message: Uint8Array) => Promise.resolve(new Uint8Array(sign(null, message, privateKey)));
  return { publicKey: bytes, fingerprint: fingerprint(bytes), sign: signed };
}

/** Where pieces of `secret` lie in the files of a service: SQLite splits a large row among pages. */
function found(service: TestService, secret: Uint8Array): string[] {
  const pieces = Array.from(
    { length: Math.floor(secret.length / 16) },
    (_, at) => Buffer.from(secret.subarray(at * 16, at * 16 + 16)),
  );
  return readdirSync(service.dir, { recursive: true, withFileTypes: true }).filter((entry) => {
    if (!entry.isFile()) return false;
    try {
      const bytes = readFileSync(join(entry.parentPath, entry.name));
      return pieces.some((piece) => bytes.includes(piece));
    } catch (error) {
      // SQLite has removed its log meanwhile.
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
      throw error;
    }
  }).map((entry) => entry.name);
}

/** Waits until no file of the service holds anything of the secrets. */
async function gone(service: TestService, secrets: Readonly<Record<string, Uint8Array>>): Promise<void> {
  const deadline = Date.now() + CLOSED_WITHIN_MS;
  for (const [what, secret] of Object.entries(secrets)) {
    for (let where = found(service, secret); where.length > 0; where = found(service, secret)) {
      assert.ok(Date.now() < deadline, `${what}: still in ${where.join(", ")}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }
}

Deno.test("the SSH login of a share, in workerd", async (t) => {
  const service = await TestService.start();
  await service.edge("one");
  const alice = await device();
  const bob = await device();
  try {
    await t.step("a key is stored by its owner and fetched by any device, as often as it likes", async () => {
      await service.register(alice, "open-shell");
      refused(await get(service, bob, "open-shell"), 404, "ssh-none");
      const { key } = await shared(service, alice, "open-shell", { once: false });
      const ticket = await makeTicket(bob, "connect", "open-shell");
      for (let i = 0; i < 3; i++) {
        const answer = await get(service, bob, "open-shell", { ticket });
        assert.equal(answer.status, 200, answer.text);
        assert.equal(answer.headers["cache-control"], "no-store");
        assert.deepEqual(answer.json, { key: Buffer.from(key).toString("base64url"), once: false });
      }
      refused(await claim(service, alice, "open-shell"), 400, "bad-request");
      assert.equal((await get(service, bob, "open-shell")).status, 200);
      const largest = await shared(service, alice, "open-shell", { size: SSH_KEY_MAX_BYTES });
      const replaced = (await get(service, bob, "open-shell")).json;
      assert.deepEqual(replaced, { key: Buffer.from(largest.key).toString("base64url"), once: true });
      const smallest = await shared(service, alice, "open-shell", { size: 1 });
      const small = (await get(service, bob, "open-shell")).json.key;
      assert.equal(small, Buffer.from(smallest.key).toString("base64url"));
    });

    await t.step("the one login is claimed once; afterwards it is used for everybody", async () => {
      const { key } = await shared(service, alice, "one-shell");
      assert.equal((await get(service, bob, "one-shell")).json.once, true);
      const ticket = await makeTicket(alice, "owner", "one-shell");
      assert.equal((await claim(service, alice, "one-shell", WINNER, { ticket })).status, 204);
      refused(await claim(service, alice, "one-shell", WINNER, { ticket }), 410, "ssh-used");
      refused(await claim(service, alice, "one-shell"), 410, "ssh-used");
      const late = await get(service, bob, "one-shell");
      refused(late, 410, "ssh-used");
      assert.deepEqual(late.json.error, {
        code: "ssh-used",
        message: "The one login to one-shell has been used.",
        hint: "Ask its owner to share it again with --ssh-once.",
      });
      // A renewal is no new login; a new key is.
      await service.register(alice, "one-shell");
      refused(await get(service, bob, "one-shell"), 410, "ssh-used");
      const again = await shared(service, alice, "one-shell");
      assert.notDeepEqual(again.key, key);
      assert.equal((await get(service, bob, "one-shell")).json.key, Buffer.from(again.key).toString("base64url"));
      assert.equal((await claim(service, alice, "one-shell")).status, 204);
    });

    await t.step(
      "nobody else stores a key or claims a login, and no ticket counts twice or for another role",
      async () => {
        const { key } = await shared(service, alice, "safe-shell");
        const body = { key: Buffer.from(key).toString("base64url"), once: true };
        refused(await put(service, bob, "safe-shell", body), 401, "ticket-foreign");
        refused(await claim(service, bob, "safe-shell"), 401, "ticket-foreign");
        for (const role of ["share", "connect"] as const) {
          refused(await put(service, alice, "safe-shell", body, { role }), 401, "ticket-foreign");
          refused(await claim(service, alice, "safe-shell", WINNER, { role }), 401, "ticket-foreign");
        }
        refused(await get(service, alice, "safe-shell", { role: "owner" }), 401, "ticket-foreign");
        const other = await makeTicket(alice, "owner", "one-shell");
        refused(await claim(service, alice, "safe-shell", WINNER, { ticket: other }), 401, "ticket-foreign");
        const ticket = await makeTicket(alice, "owner", "safe-shell");
        assert.equal((await put(service, alice, "safe-shell", body, { ticket })).status, 204);
        refused(await put(service, alice, "safe-shell", body, { ticket }), 401, "ticket-replayed");
        refused(await claim(service, alice, "safe-shell", WINNER, { ticket }), 401, "ticket-replayed");
        refused(await service.call({ path: "/api/shares/safe-shell/ssh-key" }), 403, "not-allowed");
        refused(await put(service, alice, "no-such-shell", body), 404, "share-unknown");
        refused(await get(service, alice, "no-such-shell"), 404, "share-unknown");
        refused(await claim(service, alice, "no-such-shell"), 404, "share-unknown");
        assert.equal((await claim(service, alice, "safe-shell")).status, 204);
      },
    );

    await t.step("bodies that make no sense are refused with what is wrong, and change nothing", async () => {
      const { key } = await shared(service, alice, "sane-shell");
      const text = Buffer.from(key).toString("base64url");
      const large = Buffer.alloc(SSH_KEY_MAX_BYTES + 1).toString("base64url");
      for (
        const [body, fault] of [
          ["{", /not JSON/],
          ["[]", /not an object/],
          [{}, /key is missing/],
          [{ key: text }, /once is neither/],
          [{ key: text, once: 1 }, /once is neither/],
          [{ key: "", once: true }, /key is missing/],
          [{ key: 5, once: true }, /key is missing/],
          [{ key: "no*base64", once: true }, /key is not base64url/],
          [{ key: "A", once: true }, /key is not base64url/],
          [{ key: large, once: true }, /more than 4096 bytes/],
        ] as const
      ) {
        const answer = await put(service, alice, "sane-shell", body);
        refused(answer, 400, "bad-request");
        assert.match(answer.json.error.message, fault);
      }
      const huge = { key: "A".repeat(API_BODY_MAX_BYTES), once: true };
      refused(await put(service, alice, "sane-shell", huge), 413, "bad-request");
      for (const by of [null, 5, "", "alice", `${WINNER}x`, `${WINNER}\n`, WINNER.toUpperCase()]) {
        const answer = await claim(service, alice, "sane-shell", by);
        refused(answer, 400, "bad-request");
        assert.match(answer.json.error.message, /by is not a fingerprint/);
      }
      assert.deepEqual((await get(service, bob, "sane-shell")).json, { key: text, once: true });
    });

    await t.step("whoever asks too often for keys is told to wait", async () => {
      const eve = await device();
      const ticket = await makeTicket(eve, "connect", "sane-shell");
      let answer = await get(service, eve, "sane-shell", { ticket });
      for (let asked = 1; answer.status === 200 && asked < 2 * CONNECTS_PER_KEY_BURST; asked++) {
        answer = await get(service, eve, "sane-shell", { ticket });
      }
      refused(answer, 429, "rate-limited");
    });

    await t.step("a login ends with its share, and does not come back with the name", async () => {
      const { key } = await shared(service, alice, "ended-shell");
      assert.equal((await end(service, alice, "ended-shell")).status, 204);
      refused(await get(service, bob, "ended-shell"), 410, "share-ended");
      refused(await claim(service, alice, "ended-shell"), 410, "share-ended");
      const body = { key: Buffer.from(key).toString("base64url"), once: true };
      refused(await put(service, alice, "ended-shell", body), 410, "share-ended");
      await service.register(alice, "ended-shell");
      refused(await get(service, bob, "ended-shell"), 404, "ssh-none");
      refused(await claim(service, alice, "ended-shell"), 404, "ssh-none");
      const { expiresAt } = await shared(service, alice, "short-shell", { ttlMs: 1200 });
      await new Promise((resolve) => setTimeout(resolve, expiresAt - Date.now() + 20));
      refused(await get(service, bob, "short-shell"), 410, "share-expired");
      refused(await claim(service, alice, "short-shell"), 410, "share-expired");
      refused(await put(service, alice, "short-shell", body), 410, "share-expired");
    });

    await t.step("a claimed login stays claimed when the service is killed, and an open one open", async () => {
      await shared(service, alice, "killed-shell");
      const { key } = await shared(service, alice, "spared-shell");
      assert.equal((await claim(service, alice, "killed-shell")).status, 204);
      await service.kill();
      refused(await claim(service, alice, "killed-shell"), 410, "ssh-used");
      refused(await get(service, bob, "killed-shell"), 410, "ssh-used");
      assert.equal((await get(service, bob, "spared-shell")).json.key, Buffer.from(key).toString("base64url"));
      assert.equal((await claim(service, alice, "spared-shell")).status, 204);
    });
  } finally {
    await service.end();
  }
});

/** workerd takes 3 ms to verify a ticket, so that 10,000 take half a minute: only the long tests send so many. */
Deno.test("of all claims at once exactly one gets the login, and all others hear that it is used", async () => {
  const service = await TestService.start();
  try {
    await service.edge("one");
    const alice = fastDevice();
    const CLAIMS = LONG ? 10_000 : 1000;
    const CONNECTIONS = 64;
    await shared(service, alice, "busy-shell");
    const tickets = await Promise.all(Array.from({ length: CLAIMS }, () => makeTicket(alice, "owner", "busy-shell")));
    const answers = new Map<string, number>();
    await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
      for (let ticket = tickets.pop(); ticket !== undefined; ticket = tickets.pop()) {
        const answer = await claim(service, alice, "busy-shell", WINNER, { ticket });
        const what = `${answer.status} ${answer.json?.error?.code ?? ""}`;
        answers.set(what, (answers.get(what) ?? 0) + 1);
      }
    }));
    assert.deepEqual(Object.fromEntries(answers), { "204 ": 1, "410 ssh-used": CLAIMS - 1 });
    assert.ok(CLAIMS > SHARE_TICKETS_MAX);
    // The owner's tickets have not been used up by all that.
    assert.equal((await end(service, alice, "busy-shell")).status, 204);
  } finally {
    await service.end();
  }
});

Deno.test("a login that is claimed while the service dies has one winner at most, and then nobody else", async () => {
  const service = await TestService.start();
  try {
    await service.edge("one");
    const alice = fastDevice();
    for (let round = 0; round < 4; round++) {
      const name = `dying-shell-${round}`;
      await shared(service, alice, name);
      let wins = 0;
      let heard = 0;
      const claims = Array.from({ length: 40 }, async () => {
        const answer = await claim(service, alice, name);
        heard++;
        if (answer.status === 204) wins++;
        else refused(answer, 410, "ssh-used");
      });
      // Killed at different points: before the first answer, at it, and after some.
      const all = Promise.allSettled(claims);
      if (round > 0) await Promise.race(claims);
      if (round > 1) await Promise.all(claims.slice(0, 10 * (round - 1)));
      await service.kill();
      for (const end of await all) {
        if (end.status === "rejected") assert.ok(!(end.reason instanceof assert.AssertionError), String(end.reason));
      }
      const before = wins;
      for (let i = 0; i < 5; i++) {
        const answer = await claim(service, alice, name);
        if (answer.status === 204) wins++;
        else refused(answer, 410, "ssh-used");
      }
      assert.ok(wins <= 1, `round ${round}: ${wins} winners`);
      // Whoever had an answer, no matter which, had it after the login was given away; the winner's own may be lost.
      if (heard > 0) assert.equal(wins, before, `round ${round}: a later winner`);
      assert.ok(round === 0 || heard > 0);
    }
  } finally {
    await service.end();
  }
});

Deno.test("a key leaves no byte in the service's files once it is used, replaced, ended or expired", async () => {
  const service = await TestService.start();
  try {
    await service.edge("one");
    const alice = await device();
    const kept = await shared(service, alice, "kept-shell");
    const once = await shared(service, alice, "once-shell");
    const large = await shared(service, alice, "large-shell", { size: SSH_KEY_MAX_BYTES });
    const older = await shared(service, alice, "newer-shell");
    const ended = await shared(service, alice, "ended-shell", { once: false });
    const brief = await shared(service, alice, "brief-shell", { ttlMs: 2000 });
    const keys = { once, large, older, ended, brief };
    const secrets = Object.fromEntries(Object.entries(keys).map(([what, { key }]) => [what, key]));
    for (const [what, key] of Object.entries(secrets)) assert.ok(found(service, key).length > 0, `${what} is nowhere`);
    // The record grows and moves on its pages: the key must not leave copies where it stood.
    for (let i = 0; i < 60; i++) await service.ask({ path: "/api/shares/once-shell" }, alice, "owner", "once-shell");

    for (const name of ["once-shell", "large-shell"]) assert.equal((await claim(service, alice, name)).status, 204);
    const newer = await shared(service, alice, "newer-shell", { size: 300 });
    assert.equal((await end(service, alice, "ended-shell")).status, 204);
    while ((await service.visit("brief-shell")).json.code !== "share-expired") {
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
    // Killed before SQLite has closed anything: its logs hold the keys, and nobody asks for these shares again.
    for (const [what, key] of Object.entries(secrets)) assert.ok(found(service, key).length > 0, `${what} is nowhere`);
    await service.kill();
    await gone(service, secrets);
    // The search itself finds what is there.
    assert.ok(found(service, kept.key).length > 0 && found(service, newer.key).length > 0);
    refused(await claim(service, alice, "once-shell"), 410, "ssh-used");
    assert.equal((await get(service, alice, "newer-shell")).json.key, Buffer.from(newer.key).toString("base64url"));
  } finally {
    await service.end();
  }
});
