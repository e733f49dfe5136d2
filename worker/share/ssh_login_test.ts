import assert from "node:assert/strict";
import { NAME_QUARANTINE_MS, SHARE_TICKETS_MAX, TICKET_LEEWAY_MS, TICKET_TTL_MS } from "../../shared/limits.ts";
import { randomInt, seededRandom } from "../../shared/random.ts";
import type { TicketClaims } from "../../shared/ticket/ticket.ts";
import type { ShareRecord } from "./share_record.ts";
import { ShareState } from "./share_state.ts";

const NOW = 1_700_000_000_000;
const AUDIENCE = "http://localhost:8080";
const HOUR = 3_600_000;
const KEY = Uint8Array.of(1, 2, 3);

let serial = 0;

/** The claims of a verified ticket. */
function ticket(issuer: string, now = NOW, overrides: Partial<TicketClaims> = {}): TicketClaims {
  return {
    role: "owner",
    name: "demo",
    audience: AUDIENCE,
    id: `ticket-${serial++}`,
    issuedAt: now,
    deadAt: now + TICKET_TTL_MS + TICKET_LEEWAY_MS,
    issuer,
    publicKey: new Uint8Array(32),
    ...overrides,
  };
}

const wish = (expiresAt = NOW + HOUR) => ({ expiresAt, chosen: false, meta: {} });

/** A share of alice whose login is as `once` says; none without. */
function shared(once?: boolean): ShareState {
  const state = new ShareState(undefined);
  state.claim(ticket("alice"), wish(), NOW);
  if (once !== undefined) {
    state.putSshKey(ticket("alice"), KEY, once, NOW);
    state.takeSshKeyChange();
  }
  return state;
}

const login = (state: ShareState, now = NOW) => state.sshLogin(ticket("bob", now, { role: "connect" }), [], now);

Deno.test("a stored key is told of to whoever connects, as often as he likes, and nothing is kept of it", () => {
  const state = shared();
  assert.throws(() => login(state), { code: "ssh-none", hint: "Ask its owner to share with --ssh." });
  state.putSshKey(ticket("alice"), KEY, false, NOW);
  assert.deepEqual(state.takeSshKeyChange(), { key: KEY });
  assert.equal(state.takeSshKeyChange(), undefined);
  const before = structuredClone(state.record);
  for (let i = 0; i < 2 * SHARE_TICKETS_MAX; i++) assert.deepEqual(login(state), { once: false });
  assert.deepEqual(state.record, before);
  state.putSshKey(ticket("alice"), KEY, true, NOW);
  assert.deepEqual(login(state), { once: true });
});

Deno.test("the one login goes to the first claim, and the key with it; everybody later is told that it is used", () => {
  const state = shared(true);
  const winner = ticket("alice");
  state.claimSshLogin(winner, "device-1", NOW + 5);
  assert.equal(state.takeSshKeyChange(), "erase");
  assert.deepEqual(state.record?.ssh, { once: true, usedAt: NOW + 5, usedBy: "device-1" });
  for (const proof of [winner, ticket("alice"), ticket("alice", NOW, { deadAt: NOW })]) {
    for (const by of ["device-1", "device-2"]) {
      assert.throws(() => state.claimSshLogin(proof, by, NOW + 5), { code: "ssh-used" });
    }
  }
  assert.throws(() => login(state), { code: "ssh-used", message: "The one login to demo has been used." });
  assert.equal(state.record?.ssh?.usedBy, "device-1");
  assert.equal(state.takeSshKeyChange(), undefined);
});

Deno.test("any number of claims that come too late take no place among the used tickets", () => {
  const state = shared(true);
  state.claimSshLogin(ticket("alice"), "device-1", NOW);
  const used = state.record!.used.length;
  for (let i = 0; i < 10_000; i++) {
    assert.throws(() => state.claimSshLogin(ticket("alice"), `device-${i}`, NOW), { code: "ssh-used" });
  }
  assert.equal(state.record!.used.length, used);
});

Deno.test("only its owner may store a key or claim the login, with a ticket that lives and is new", () => {
  const state = shared(true);
  const proof = ticket("alice");
  const dead = ticket("alice", NOW, { deadAt: NOW });
  state.putSshKey(proof, KEY, true, NOW);
  assert.throws(() => state.putSshKey(proof, KEY, true, NOW), { code: "ticket-replayed" });
  assert.throws(() => state.putSshKey(ticket("bob"), KEY, true, NOW), { code: "ticket-foreign" });
  assert.throws(() => state.putSshKey(dead, KEY, true, NOW), { code: "ticket-expired" });
  assert.throws(() => state.claimSshLogin(proof, "device-1", NOW), { code: "ticket-replayed" });
  assert.throws(() => state.claimSshLogin(ticket("bob"), "device-1", NOW), { code: "ticket-foreign" });
  assert.throws(() => state.claimSshLogin(dead, "device-1", NOW), { code: "ticket-expired" });
  assert.throws(() => new ShareState(undefined).claimSshLogin(ticket("alice"), "d", NOW), { code: "share-unknown" });
  assert.deepEqual(state.record?.ssh, { once: true });
});

Deno.test("a login that is not the only one cannot be claimed, nor one that is not there", () => {
  const many = shared(false);
  const proof = ticket("alice");
  assert.throws(() => many.claimSshLogin(proof, "device-1", NOW), { code: "bad-request" });
  assert.equal(many.takeSshKeyChange(), undefined);
  assert.deepEqual(login(many), { once: false });
  assert.throws(() => shared().claimSshLogin(proof, "device-1", NOW), { code: "ssh-none" });
  many.putSshKey(proof, KEY, true, NOW);
});

Deno.test("a new key in place of a used one can be used again", () => {
  const state = shared(true);
  state.claimSshLogin(ticket("alice"), "device-1", NOW);
  state.putSshKey(ticket("alice"), KEY, true, NOW);
  assert.deepEqual(state.takeSshKeyChange(), { key: KEY });
  assert.deepEqual(login(state), { once: true });
  state.claimSshLogin(ticket("alice"), "device-2", NOW);
  assert.equal(state.record?.ssh?.usedBy, "device-2");
});

Deno.test("the login lives through a renewal of its share, and is over with the share, to the millisecond", () => {
  const state = shared(true);
  state.claim(ticket("alice"), wish(NOW + 2 * HOUR), NOW);
  assert.deepEqual(login(state), { once: true });
  const end = NOW + 2 * HOUR;
  assert.deepEqual(login(state, end - 1), { once: true });
  assert.throws(() => login(state, end), { code: "share-expired" });
  assert.throws(() => state.putSshKey(ticket("alice", end), KEY, true, end), { code: "share-expired" });
  assert.equal(state.takeSshKeyChange(), "erase");
  assert.throws(() => state.claimSshLogin(ticket("alice", end), "device-1", end), { code: "share-expired" });
  assert.ok(!("ssh" in state.record!));
  state.claim(ticket("alice", end), wish(end + HOUR), end);
  assert.throws(() => login(state, end), { code: "ssh-none" });

  const ended = shared(true);
  ended.end(ticket("alice"), NOW);
  assert.equal(ended.takeSshKeyChange(), "erase");
  assert.throws(() => login(ended), { code: "share-ended" });
  assert.throws(() => ended.claimSshLogin(ticket("alice"), "device-1", NOW), { code: "share-ended" });
  ended.claim(ticket("alice"), wish(), NOW);
  assert.throws(() => ended.claimSshLogin(ticket("alice"), "device-1", NOW), { code: "ssh-none" });
});

Deno.test("a name that another device has taken over brings no login of its former owner", () => {
  const state = shared(true);
  const later = NOW + HOUR + NAME_QUARANTINE_MS;
  state.claim(ticket("bob", later), wish(later + HOUR), later);
  assert.equal(state.takeSshKeyChange(), "erase");
  assert.throws(() => state.claimSshLogin(ticket("bob", later), "device-1", later), { code: "ssh-none" });
});

Deno.test("a record from before there were logins is one without", () => {
  const { ssh: _ssh, ...old } = shared().record!;
  const state = new ShareState(structuredClone(old));
  assert.throws(() => login(state), { code: "ssh-none" });
  assert.throws(() => state.claimSshLogin(ticket("alice"), "device-1", NOW), { code: "ssh-none" });
  state.putSshKey(ticket("alice"), KEY, true, NOW);
  assert.equal(state.record?.v, 1);
});

Deno.test("whatever happens in whatever order, crashes included, each key has one winner and outlives nothing", () => {
  const seed = Number(Deno.env.get("SEED") ?? Date.now() % 1e9);
  const random = seededRandom(seed);
  const pick = <T>(list: readonly T[]): T => list[randomInt(random, list.length)]!;
  let wins = 0;
  for (let life = 0; life < 60; life++) {
    let now = NOW;
    /** What is on disk: written in one transaction, or not at all. */
    let disk: { record: ShareRecord | undefined; key: Uint8Array | undefined } = { record: undefined, key: undefined };
    let state = new ShareState(undefined);
    /** The model: the stored key that is neither used, replaced nor over, and how often each key was won. */
    let open: { key: Uint8Array; once: boolean } | undefined;
    let used = false;
    const winners = new Map<Uint8Array, string>();
    for (let step = 0; step < 150; step++) {
      const where = `SEED=${seed} life ${life} step ${step}`;
      const over = disk.record === undefined || disk.record.ended !== undefined || now >= disk.record.expiresAt;
      if (over) [open, used] = [undefined, false];
      const issuer = pick(["alice", "alice", "alice", "bob"]);
      const proof = ticket(issuer, now);
      /** Whether an answer comes out: after a crash nobody hears what was decided, and nothing of it is on disk. */
      const crashes = randomInt(random, 12) === 0;
      const attempt = (action: () => void): string | undefined => {
        try {
          action();
        } catch (error) {
          assert.ok(error instanceof Error && "code" in error, `${where}: ${error}`);
          return String(error.code);
        }
        return undefined;
      };
      let heard: () => void = () => {};
      let saves = true;
      switch (randomInt(random, 7)) {
        case 0:
          attempt(() => state.claim(proof, wish(now + 1000 + randomInt(random, 3 * HOUR)), now));
          break;
        case 1: {
          const login = { key: random(3), once: randomInt(random, 4) > 0 };
          const refused = attempt(() => state.putSshKey(proof, login.key, login.once, now));
          if (refused === undefined) {
            assert.ok(!over && disk.record?.owner === issuer, `${where}: a dead share or a stranger stored a key`);
            heard = () => [open, used] = [login, false];
          }
          break;
        }
        case 2:
        case 3: {
          const refused = attempt(() => state.claimSshLogin(proof, `device-${step}`, now));
          if (refused === undefined) {
            const won = open;
            assert.ok(won?.once && disk.record?.owner === issuer, `${where}: won what was not to be had`);
            heard = () => {
              assert.ok(!winners.has(won.key), `${where}: a second winner`);
              winners.set(won.key, `device-${step}`);
              wins++;
              [open, used] = [undefined, true];
            };
          } else {
            saves = false;
            if (over || disk.record?.owner !== issuer || refused === "rate-limited") break;
            const expected: string = used ? "ssh-used" : open === undefined ? "ssh-none" : "bad-request";
            assert.equal(refused, expected, where);
          }
          break;
        }
        case 4:
          if (randomInt(random, 6) === 0) attempt(() => state.end(proof, now));
          break;
        case 5:
          now += randomInt(random, pick([1000, 200_000, HOUR, NAME_QUARANTINE_MS]));
          state.advance(now);
          break;
        default:
          state = new ShareState(structuredClone(disk.record));
      }
      if (crashes) {
        state = new ShareState(structuredClone(disk.record));
      } else if (saves) {
        heard();
        const change = state.takeSshKeyChange();
        const key = change === undefined ? disk.key : change === "erase" ? undefined : change.key;
        disk = { record: structuredClone(state.record), key: state.record === undefined ? undefined : key };
      }
      const record: ShareRecord | undefined = disk.record;
      const stored: boolean = record?.ssh !== undefined && record.ssh.usedAt === undefined;
      assert.equal(disk.key !== undefined, stored, `${where}: the key and the record say different things`);
      if (record?.ended !== undefined) assert.equal(disk.key, undefined, `${where}: a key of a dead share`);
      const dead = record === undefined || record.ended !== undefined || now >= record.expiresAt;
      if (!dead) assert.equal(disk.key, open?.key, where);
      const told = attempt(() => assert.equal(login(state, now).once, open?.once, where));
      if (!dead) assert.equal(told, open !== undefined ? undefined : used ? "ssh-used" : "ssh-none", where);
    }
  }
  assert.ok(wins > 20, `SEED=${seed}: only ${wins} logins were won`);
});
