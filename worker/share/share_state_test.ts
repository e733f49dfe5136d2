import assert from "node:assert/strict";
import {
  DETACH_ATTEMPTS_MAX,
  NAME_QUARANTINE_MS,
  SHARE_OWED_DETACHES_MAX,
  SHARE_TICKETS_MAX,
  SHARE_TTL_MAX_MS,
  TICKET_LEEWAY_MS,
  TICKET_TTL_MS,
} from "../../shared/limits.ts";
import { randomInt, seededRandom } from "../../shared/random.ts";
import type { TicketClaims } from "../../shared/ticket/ticket.ts";
import type { EdgeRef } from "./share_record.ts";
import { ShareState } from "./share_state.ts";

const NOW = 1_700_000_000_000;
const AUDIENCE = "http://localhost:8080";
const HOUR = 3_600_000;
const A: EdgeRef = { id: "a", region: "here", instance: "a1", origin: "http://127.0.0.1:1001" };
const B: EdgeRef = { id: "b", region: "there", instance: "b1", origin: "http://127.0.0.1:1002" };

let serial = 0;

/** The claims of a verified ticket. */
function ticket(issuer: string, now = NOW, overrides: Partial<TicketClaims> = {}): TicketClaims {
  return {
    role: "share",
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

function claimed(): ShareState {
  const state = new ShareState(undefined);
  assert.equal(state.claim(ticket("alice"), wish(), NOW).created, true);
  return state;
}

Deno.test("a name goes to the first key, which may renew it; every other key is refused", () => {
  const state = claimed();
  assert.deepEqual(state.lookup(NOW), { state: "away" });
  const renewed = state.claim(ticket("alice"), { expiresAt: NOW + 2 * HOUR, chosen: true, meta: { os: "linux" } }, NOW);
  assert.deepEqual(renewed, { created: false, expiresAt: NOW + 2 * HOUR });
  assert.throws(() => state.claim(ticket("bob"), wish(), NOW), { code: "name-taken" });
  assert.throws(() => state.attach(ticket("bob"), A, "s", [AUDIENCE], NOW), { code: "ticket-foreign" });
  assert.throws(() => state.end(ticket("bob"), NOW), { code: "ticket-foreign" });
  assert.throws(() => state.show(ticket("bob"), NOW), { code: "ticket-foreign" });
  assert.equal(state.record?.owner, "alice");
});

Deno.test("a share lives no longer than the maximum and never into the past", () => {
  const state = new ShareState(undefined);
  for (const bad of [NOW, NOW - 1, 0, NaN]) {
    assert.throws(() => state.claim(ticket("alice"), wish(bad), NOW), { code: "bad-request" });
  }
  assert.equal(state.record, undefined);
  assert.equal(state.claim(ticket("alice"), wish(NOW + 2 * SHARE_TTL_MAX_MS), NOW).expiresAt, NOW + SHARE_TTL_MAX_MS);
});

Deno.test("a ticket is taken once, whatever for, and forgotten when nobody would take it any more", () => {
  const state = new ShareState(undefined);
  const used = ticket("alice");
  state.claim(used, wish(), NOW);
  assert.throws(() => state.claim(used, wish(), NOW), { code: "ticket-replayed" });
  assert.throws(() => state.attach(used, A, "s", [], NOW), { code: "ticket-replayed" });
  assert.throws(() => state.end(used, NOW), { code: "ticket-replayed" });
  assert.throws(() => state.end(used, used.deadAt), { code: "ticket-expired" });
  state.advance(used.deadAt);
  assert.deepEqual(state.record?.used, []);
});

Deno.test("a refused request does not use up its ticket", () => {
  const state = claimed();
  const early = ticket("alice");
  assert.throws(() => state.claim(early, wish(NOW - 1), NOW), { code: "bad-request" });
  state.claim(early, wish(), NOW);
});

Deno.test("the memory of used tickets is bounded, and room comes back", () => {
  const state = claimed();
  for (let i = 1; i < SHARE_TICKETS_MAX; i++) state.claim(ticket("alice"), wish(), NOW);
  assert.throws(() => state.attach(ticket("alice"), A, "s", [], NOW), { code: "rate-limited" });
  const later = NOW + TICKET_TTL_MS + TICKET_LEEWAY_MS;
  state.attach(ticket("alice", later), A, "s", [], later);
});

Deno.test("the newest session wins, and an older one on another edge is let go", () => {
  const state = claimed();
  state.attach(ticket("alice"), A, "s1", [], NOW);
  assert.deepEqual(state.lookup(NOW), { state: "attached", edge: A });
  state.attach(ticket("alice"), A, "s2", [], NOW);
  assert.deepEqual(state.takeDue(NOW), []);
  state.attach(ticket("alice"), B, "s3", [], NOW);
  assert.deepEqual(state.lookup(NOW), { state: "attached", edge: B });
  const [due, ...rest] = state.takeDue(NOW);
  assert.deepEqual([due?.session, due?.edge, due?.code, rest.length], ["s2", A, "share-replaced", 0]);
});

Deno.test("only the session that is attached can be detached, and only by its own edge and boot", () => {
  const state = claimed();
  state.attach(ticket("alice"), A, "s1", [], NOW);
  state.detach(B, "s1", NOW);
  state.detach({ id: "a", instance: "a2" }, "s1", NOW);
  state.detach(A, "s0", NOW);
  assert.equal(state.lookup(NOW).state, "attached");
  state.detach(A, "s1", NOW);
  assert.equal(state.lookup(NOW).state, "away");
});

Deno.test("an agent attaches under the service's origins only; where it knows none, by the one it registered by", () => {
  const state = claimed();
  assert.throws(() => state.attach(ticket("alice"), A, "s0", ["https://spanway.example"], NOW), {
    code: "ticket-foreign",
  });
  state.attach(ticket("alice"), A, "s1", [], NOW);
  const elsewhere = () => ticket("alice", NOW, { audience: "https://spanway.example" });
  assert.throws(() => state.attach(elsewhere(), A, "s2", [AUDIENCE], NOW), { code: "ticket-foreign" });
  state.attach(elsewhere(), A, "s3", ["https://spanway.example"], NOW);
});

Deno.test("whoever connects is told where a share is, by any key and as often as he likes, and nothing is kept of it", () => {
  const state = claimed();
  const stranger = ticket("bob", NOW, { role: "connect" });
  assert.deepEqual(state.whereabouts(stranger, [], NOW), { expiresAt: NOW + HOUR, attachment: undefined });
  assert.throws(() => state.admit(stranger, A, [], NOW), { code: "share-away" });
  state.attach(ticket("alice"), A, "s1", [], NOW);
  const before = structuredClone(state.record);
  for (let i = 0; i < 2 * SHARE_TICKETS_MAX; i++) {
    const proof = i % 2 === 0 ? stranger : ticket(`stranger-${i}`, NOW, { role: "connect" });
    assert.equal(state.whereabouts(proof, [AUDIENCE], NOW).attachment?.session, "s1");
    assert.deepEqual(state.admit(proof, A, [AUDIENCE], NOW), { session: "s1", expiresAt: NOW + HOUR });
  }
  assert.deepEqual(state.record, before);
  state.attach(ticket("alice"), A, "s2", [], NOW);
});

Deno.test("a connector is admitted only where the share is attached now, by edge and boot", () => {
  const state = claimed();
  const admit = (edge: { id: string; instance: string }) => state.admit(ticket("bob"), edge, [], NOW).session;
  state.attach(ticket("alice"), A, "s1", [], NOW);
  assert.throws(() => admit(B), { code: "share-away" });
  assert.throws(() => admit({ id: "a", instance: "a2" }), { code: "share-away" });
  state.attach(ticket("alice"), B, "s2", [], NOW);
  assert.throws(() => admit(A), { code: "share-away" }, "the first edge may not have heard of the second yet");
  assert.equal(admit(B), "s2");
  state.detach(A, "s1", NOW);
  assert.equal(admit(B), "s2");
  state.detach(B, "s2", NOW);
  assert.throws(() => admit(B), { code: "share-away" });
});

Deno.test("a connector hears of a share that is over, unknown or at another service, and dead tickets get nothing", () => {
  const state = claimed();
  state.attach(ticket("alice"), A, "s1", [], NOW);
  const ask = (now: number, overrides: Partial<TicketClaims> = {}, audiences: string[] = []) => {
    for (const proof of [ticket("bob", now, overrides), ticket("alice", now, overrides)]) {
      state.whereabouts(proof, audiences, now);
      state.admit(proof, A, audiences, now);
    }
  };
  ask(NOW);
  ask(NOW, { audience: "https://spanway.example" }, ["https://spanway.example"]);
  assert.throws(() => ask(NOW, { audience: "https://spanway.example" }), { code: "ticket-foreign" });
  assert.throws(() => ask(NOW, {}, ["https://spanway.example"]), { code: "ticket-foreign" });
  assert.throws(() => ask(NOW, { deadAt: NOW }), { code: "ticket-expired" });
  ask(NOW + HOUR - 1);
  // To the millisecond, whether the alarm has been there or not.
  assert.throws(() => ask(NOW + HOUR), { code: "share-expired" });
  assert.equal(state.record?.ended, undefined);
  state.advance(NOW + HOUR);
  assert.throws(() => ask(NOW + HOUR), { code: "share-expired" });
  const ended = claimed();
  ended.end(ticket("alice"), NOW);
  assert.throws(() => ended.whereabouts(ticket("bob"), [], NOW), { code: "share-ended" });
  assert.throws(() => new ShareState(undefined).admit(ticket("bob"), A, [], NOW), { code: "share-unknown" });
});

Deno.test("at its expiry a share is over to the millisecond, and its edge is told", () => {
  const state = claimed();
  state.attach(ticket("alice"), A, "s1", [], NOW);
  const end = NOW + HOUR;
  assert.equal(state.nextAlarm(), end);
  assert.equal(state.lookup(end - 1).state, "attached");
  assert.equal(state.lookup(end).state, "expired");
  assert.throws(() => state.attach(ticket("alice", end), A, "s2", [], end), { code: "share-expired" });
  state.advance(end + 5);
  assert.deepEqual(state.takeDue(end + 5).map((owed) => [owed.session, owed.code]), [["s1", "share-expired"]]);
});

Deno.test("its owner ends a share once; visitors are told so, and the edge is", () => {
  const state = claimed();
  state.attach(ticket("alice"), A, "s1", [], NOW);
  state.end(ticket("alice", NOW, { role: "owner" }), NOW);
  state.end(ticket("alice", NOW, { role: "owner" }), NOW + 1);
  assert.equal(state.lookup(NOW).state, "ended");
  assert.equal(state.lookup(NOW + 2 * HOUR).state, "ended");
  assert.throws(() => state.attach(ticket("alice"), A, "s2", [], NOW), { code: "share-ended" });
  assert.deepEqual(state.takeDue(NOW).map((owed) => [owed.session, owed.code]), [["s1", "share-ended"]]);
  assert.equal(state.show(ticket("alice"), NOW).state, "ended");
});

Deno.test("in quarantine a name comes back to its own key only; afterwards it is anybody's", () => {
  const state = claimed();
  const end = NOW + HOUR;
  assert.throws(() => state.claim(ticket("bob", end), wish(end + HOUR), end), { code: "name-taken" });
  const last = end + NAME_QUARANTINE_MS - 1;
  assert.throws(() => state.claim(ticket("bob", last), wish(last + HOUR), last), { code: "name-taken" });
  assert.equal(state.nextAlarm(), end + NAME_QUARANTINE_MS);
  const back = new ShareState(structuredClone(state.record));
  assert.equal(back.claim(ticket("alice", last), wish(last + HOUR), last).created, false);
  assert.equal(back.lookup(last).state, "away");
  assert.equal(state.claim(ticket("bob", last + 1), wish(last + HOUR), last + 1).created, true);
  assert.equal(state.record?.owner, "bob");
  const idle = claimed();
  idle.advance(end + NAME_QUARANTINE_MS);
  assert.deepEqual([idle.record, idle.nextAlarm(), idle.lookup(NOW).state], [undefined, undefined, "unknown"]);
  assert.throws(() => idle.end(ticket("alice"), NOW), { code: "share-unknown" });
});

Deno.test("an edge that does not answer is told again with growing waits, then given up", () => {
  const state = claimed();
  state.attach(ticket("alice"), A, "s1", [], NOW);
  state.end(ticket("alice"), NOW);
  const times: number[] = [];
  for (let now = NOW; state.record!.owed.length > 0; now = state.nextAlarm()!) {
    if (state.takeDue(now).length > 0) times.push(now - NOW);
  }
  assert.deepEqual(times, [0, 1000, 3000, 7000, 15_000, 31_000].slice(0, DETACH_ATTEMPTS_MAX));
  assert.equal(state.nextAlarm(), NOW + NAME_QUARANTINE_MS);
});

Deno.test("an edge that was told is not told again, and what is owed is bounded", () => {
  const state = claimed();
  for (let i = 0; i < SHARE_OWED_DETACHES_MAX + 5; i++) {
    state.attach(ticket("alice"), { ...A, id: `edge-${i}` }, `s${i}`, [], NOW);
  }
  assert.equal(state.record!.owed.length, SHARE_OWED_DETACHES_MAX);
  assert.equal(state.takeDue(NOW).length, SHARE_OWED_DETACHES_MAX);
  for (const owed of [...state.record!.owed]) state.settle(owed.session);
  assert.equal(state.takeDue(NOW + HOUR).length, 0);
});

Deno.test("whatever happens in whatever order, a name has one owner, and no dead share or used ticket is taken", () => {
  const seed = Number(Deno.env.get("SEED") ?? Date.now() % 1e9);
  const random = seededRandom(seed);
  const pick = <T>(list: readonly T[]): T => list[randomInt(random, list.length)]!;
  for (let life = 0; life < 60; life++) {
    let now = NOW;
    let state = new ShareState(undefined);
    /** The model: owner and end of the claim, the session that must serve, the tickets that were taken. */
    let owner: string | undefined;
    let over = 0;
    let ended = false;
    let serving: string | undefined;
    const taken = new Set<string>();
    const kept: TicketClaims[] = [];
    for (let step = 0; step < 150; step++) {
      const where = `SEED=${seed} life ${life} step ${step}`;
      if (owner !== undefined && !ended && now >= over) [ended, serving] = [true, undefined];
      if (owner !== undefined && ended && now >= over + NAME_QUARANTINE_MS) owner = undefined;
      const fresh = randomInt(random, 4) > 0 || kept.length === 0;
      const proof = fresh ? ticket(pick(["alice", "bob", "carol"]), now) : pick(kept);
      kept.push(proof);
      const usable = !taken.has(proof.id) && proof.deadAt > now;
      const attempt = (action: () => void): boolean => {
        try {
          action();
        } catch (error) {
          assert.ok(error instanceof Error && "code" in error, `${where}: ${error}`);
          return false;
        }
        assert.ok(usable, `${where}: a used or dead ticket was taken`);
        taken.add(proof.id);
        return true;
      };
      switch (randomInt(random, 6)) {
        case 0: {
          const until = now + 1000 + randomInt(random, 3 * HOUR);
          if (attempt(() => state.claim(proof, wish(until), now))) {
            assert.ok(owner === undefined || owner === proof.issuer, `${where}: taken over`);
            if (owner === undefined || ended) serving = undefined;
            [owner, over, ended] = [proof.issuer, until, false];
          } else assert.ok(!usable || (owner !== undefined && owner !== proof.issuer), `${where}: refused its owner`);
          break;
        }
        case 1: {
          const session = `${life}-${step}`;
          if (attempt(() => state.attach(proof, pick([A, B]), session, [], now))) {
            assert.ok(owner === proof.issuer && !ended, `${where}: attached a dead share or a stranger`);
            serving = session;
          } else assert.ok(!usable || owner !== proof.issuer || ended, `${where}: refused its agent`);
          break;
        }
        case 2: {
          const attachment = state.record?.attachment;
          if (attachment === undefined) break;
          state.detach(attachment.edge, attachment.session, now);
          serving = undefined;
          break;
        }
        case 3:
          if (attempt(() => state.end(proof, now))) {
            assert.equal(owner, proof.issuer, where);
            if (!ended) [ended, over, serving] = [true, now, undefined];
          }
          break;
        case 4:
          now += randomInt(random, pick([1000, 200_000, HOUR, NAME_QUARANTINE_MS]));
          if (randomInt(random, 2) === 0) state.advance(now);
          state.takeDue(now);
          continue;
        default:
          state = new ShareState(structuredClone(state.record));
      }
      const seen = state.lookup(now).state;
      assert.equal(seen === "attached", serving !== undefined, `${where}: ${seen}`);
      if (serving !== undefined) assert.equal(state.record?.attachment?.session, serving, where);
      if (owner !== undefined) assert.equal(state.record?.owner, owner, where);
      else assert.ok(["unknown", "expired", "ended"].includes(seen), `${where}: ${seen}`);
      const alarm = state.nextAlarm();
      assert.equal(alarm === undefined, state.record === undefined, where);
      assert.ok((state.record?.used.length ?? 0) <= SHARE_TICKETS_MAX, where);
    }
  }
});
