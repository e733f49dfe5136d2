import assert from "node:assert/strict";
import { EDGE_KEY_HEADER, SESSION_HEADER, VISITOR_HEADER } from "../shared/internal_headers.ts";
import { Buffer } from "node:buffer";
import {
  API_BODY_MAX_BYTES,
  CONNECTS_PER_KEY_BURST,
  REGISTRATIONS_PER_KEY_BURST,
  SHARE_TICKETS_MAX,
  SHARE_TTL_MAX_MS,
} from "../shared/limits.ts";
import { CONTROL_SUBPROTOCOL } from "../shared/relay/control_socket.ts";
import { QMUX_SUBPROTOCOL } from "../shared/transport/qmux/session.ts";
import { type Answer } from "./testing/http_call.ts";
import { VERSION } from "./version.ts";
import { device, DOMAIN, KEY, makeTicket, ORIGIN, TestService } from "./testing/service.ts";

function refused(answer: Answer, status: number, code: string): void {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.json?.error?.code, code, answer.text);
  assert.equal(typeof answer.json.error.message, "string");
  assert.doesNotMatch(answer.text, /\bat .*\.[jt]s|node_modules/);
}

Deno.test("the service's API, in workerd", async (t) => {
  const service = await TestService.start();
  try {
    await t.step("it says what it is, and what time it is", async () => {
      const before = Date.now();
      const { json, status, headers } = await service.call({ path: "/api/service" });
      assert.equal(status, 200);
      assert.equal(headers["cache-control"], "no-store");
      assert.ok(json.now >= before - 5 && json.now <= Date.now() + 5);
      assert.deepEqual({ ...json, now: 0 }, {
        service: "spanway",
        version: VERSION,
        protocols: [1],
        now: 0,
        domain: DOMAIN,
        edges: 0,
      });
      assert.equal((await service.call({ path: "/health" })).text, "ok\n");
    });

    await t.step("while no edge is there, agents attach to the Worker itself, over WebSocket only", async () => {
      const { status, json } = await service.register(await device(), "early-bird");
      assert.equal(status, 201);
      const [place, ...more] = json.edges;
      assert.deepEqual(more, []);
      assert.deepEqual([place.id, place.udp, place.certHashes], ["@worker", false, []]);
      assert.match(place.ws, /^wss:\/\/.*\/\.spanway\/session$/);
    });

    const edge = await service.edge("one");
    const alice = await device();
    const bob = await device();

    await t.step("a name is claimed, and renewed under the same URL", async () => {
      const expiresAt = Date.now() + 60_000;
      const first = await service.register(alice, "frosty-weasel-0857");
      assert.equal(first.status, 201);
      assert.equal(first.json.url, "https://frosty-weasel-0857.spanway.test");
      assert.ok(Math.abs(first.json.expiresAt - expiresAt) < 2000);
      const { instance: _instance, origin: _origin, ...told } = edge.report();
      assert.deepEqual(first.json.edges, [{ id: "one", ...told }]);
      const second = await service.register(alice, "frosty-weasel-0857", 120_000);
      assert.equal(second.status, 200);
      assert.equal(second.json.url, first.json.url);
      assert.ok(second.json.expiresAt > first.json.expiresAt);
    });

    await t.step("a jurisdiction that the platform does not have is refused, and leaves no name behind", async () => {
      const ask = async (name: string, jurisdiction: unknown) => {
        const body = JSON.stringify({ expiresAt: Date.now() + 60_000, chosen: true, jurisdiction });
        return await service.ask({ method: "POST", path: "/api/shares", body }, bob, "share", name);
      };
      for (const other of ["us", "EU", "", true, null]) refused(await ask("in-europe", other), 400, "bad-request");
      const answer = await ask("in-europe", "eu");
      refused(answer, 400, "bad-request");
      assert.equal(answer.json.error.message, "This service cannot keep a share in one jurisdiction.");
      assert.equal((await service.visit("in-europe")).json.code, "share-unknown");
      const { status, json } = await service.register(alice, "in-europe");
      assert.deepEqual([status, json.place], [201, undefined]);
      refused(await ask("in-europe", "eu"), 400, "bad-request");
    });

    await t.step("another device cannot take the name", async () => {
      refused(await service.register(bob, "frosty-weasel-0857"), 409, "name-taken");
      refused(await service.attach(edge, bob, "frosty-weasel-0857"), 401, "ticket-foreign");
      const path = "/api/shares/frosty-weasel-0857";
      refused(await service.ask({ method: "DELETE", path }, bob, "owner", "frosty-weasel-0857"), 401, "ticket-foreign");
      refused(await service.ask({ path }, bob, "owner", "frosty-weasel-0857"), 401, "ticket-foreign");
    });

    await t.step("of two devices that claim a name at once, one gets it", async () => {
      const devices = await Promise.all(Array.from({ length: 8 }, device));
      const answers = await Promise.all(devices.map((who) => service.register(who, "gold-rush")));
      assert.deepEqual(answers.map((answer) => answer.status).sort(), [201, 409, 409, 409, 409, 409, 409, 409]);
    });

    await t.step("a ticket is taken once, whatever for", async () => {
      const ticket = await makeTicket(alice, "share", "one-ticket");
      assert.equal((await service.register(alice, "one-ticket", 60_000, { ticket })).status, 201);
      refused(await service.register(alice, "one-ticket", 60_000, { ticket }), 401, "ticket-replayed");
      refused(await service.attach(edge, alice, "one-ticket", { ticket }), 401, "ticket-replayed");
      const at = await makeTicket(alice, "share", "one-ticket");
      const both = await Promise.all([1, 2].map(() => service.attach(edge, alice, "one-ticket", { ticket: at })));
      assert.deepEqual(both.map((answer) => answer.status).sort(), [200, 401]);
    });

    await t.step("forged, expired, early and foreign tickets are refused, each by its name", async () => {
      const forged = Buffer.from(await makeTicket(alice, "share", "forged-one"), "base64url");
      forged[forged.length - 1]! ^= 1;
      const send = (options: Parameters<TestService["register"]>[3]) =>
        service.register(alice, "forged-one", 60_000, options);
      refused(await send({ ticket: forged.toString("base64url") }), 401, "ticket-forged");
      refused(await send({ ticket: forged.subarray(0, 50).toString("base64url") }), 401, "ticket-malformed");
      refused(await send({ ticket: "A".repeat(8000) }), 401, "ticket-malformed");
      refused(await send({ ticket: "no*base64" }), 400, "bad-request");
      refused(await send({ now: Date.now() - 10 * 60_000 }), 401, "ticket-expired");
      refused(await send({ now: Date.now() + 10 * 60_000 }), 401, "ticket-not-yet-valid");
      refused(await send({ audience: "https://other.test" }), 401, "ticket-foreign");
      refused(await send({ audience: "http://spanway.test" }), 401, "ticket-foreign");
      refused(await send({ ticket: await makeTicket(alice, "owner", "forged-one") }), 401, "ticket-foreign");
      const path = "/api/shares/gold-rush";
      refused(await service.ask({ path }, alice, "owner", "one-ticket"), 401, "ticket-foreign");
      assert.equal((await service.visit("forged-one")).status, 404);
    });

    await t.step("requests that make no sense are refused with what is wrong", async () => {
      const post = async (body: string, name = "sense-less") =>
        await service.ask({ method: "POST", path: "/api/shares", body }, alice, "share", name);
      refused(await post("{"), 400, "bad-request");
      refused(await post("[]"), 400, "bad-request");
      refused(await post("{}"), 400, "bad-request");
      refused(await post(JSON.stringify({ expiresAt: "soon" })), 400, "bad-request");
      refused(await post(JSON.stringify({ expiresAt: Date.now() - 1 })), 400, "bad-request");
      refused(await post(JSON.stringify({ expiresAt: Date.now() + 1e6, chosen: 1 })), 400, "bad-request");
      refused(await post(JSON.stringify({ expiresAt: Date.now() + 1e6, meta: { a: [] } })), 400, "bad-request");
      const long = { expiresAt: Date.now() + 1e6, meta: { a: "x".repeat(4000) } };
      refused(await post(JSON.stringify(long)), 400, "bad-request");
      const fair = JSON.stringify({ expiresAt: Date.now() + 1e6 });
      for (const name of ["Sense", "xn--sense-x", "www2", "-sense", "abc", "a.b.c.d"]) {
        refused(await post(fair, name), 422, "name-invalid");
      }
      refused(await service.call({ method: "POST", path: "/api/shares", body: fair }), 403, "not-allowed");
      refused(await service.call({ path: "/api/nothing" }), 404, "not-found");
      refused(await service.call({ method: "PATCH", path: "/api/shares/gold-rush" }), 404, "not-found");
    });

    await t.step("a body beyond its limit is refused, with and without a declared length", async () => {
      const body = JSON.stringify({ expiresAt: Date.now() + 1e6, meta: { a: "x".repeat(API_BODY_MAX_BYTES) } });
      const request = { method: "POST", path: "/api/shares", body };
      refused(await service.ask(request, alice, "share", "too-large"), 413, "bad-request");
      const chunked = { ...request, headers: { "transfer-encoding": "chunked" } };
      refused(await service.ask(chunked, alice, "share", "too-large"), 413, "bad-request");
    });

    await t.step("a share lives no longer than the maximum", async () => {
      const { json } = await service.register(alice, "long-lived", 10 * SHARE_TTL_MAX_MS);
      assert.ok(Math.abs(json.expiresAt - Date.now() - SHARE_TTL_MAX_MS) < 5000);
    });

    await t.step("its owner sees how a share is", async () => {
      const look = async () =>
        (await service.ask({ path: "/api/shares/seen-share" }, alice, "owner", "seen-share")).json;
      await service.register(alice, "seen-share");
      const { createdAt, expiresAt, ...rest } = await look();
      assert.ok(createdAt <= Date.now() && expiresAt > Date.now());
      const url = "https://seen-share.spanway.test";
      assert.deepEqual(rest, { name: "seen-share", url, state: "away", chosen: true, meta: {} });
      await service.attach(edge, alice, "seen-share");
      const attached = await look();
      assert.equal(attached.state, "attached");
      assert.deepEqual(attached.edge, { id: "one", region: "region-of-one" });
      const unknown = await service.ask({ path: "/api/shares/never-seen" }, alice, "owner", "never-seen");
      refused(unknown, 404, "share-unknown");
    });

    await t.step("any device may ask where a share is, and is told the edge as its owner is", async () => {
      await service.register(alice, "sought-share");
      const away = await service.edgeOf(bob, "sought-share");
      assert.deepEqual([away.status, away.json.edge, away.headers["cache-control"]], [200, null, "no-store"]);
      const { session } = (await service.attach(edge, alice, "sought-share")).json;
      const { instance: _instance, origin: _origin, ...told } = edge.report();
      const { status, json } = await service.edgeOf(bob, "sought-share");
      assert.equal(status, 200);
      assert.deepEqual(json, {
        name: "sought-share",
        url: "https://sought-share.spanway.test",
        expiresAt: away.json.expiresAt,
        edge: { id: "one", ...told },
      });
      const admitted = await service.connect(edge, bob, "sought-share");
      assert.equal(admitted.status, 200, admitted.text);
      assert.deepEqual(admitted.json, {
        session,
        name: "sought-share",
        expiresAt: json.expiresAt,
        fingerprint: bob.fingerprint,
      });
    });

    await t.step("who connects is refused for what is wrong with ticket, share or edge", async () => {
      for (const ask of [service.edgeOf.bind(service), service.connect.bind(service, edge)]) {
        refused(await ask(bob, "never-seen"), 404, "share-unknown");
        refused(await ask(bob, "No_Name"), 422, "name-invalid");
        refused(await ask(bob, "sought-share", { role: "share" }), 401, "ticket-foreign");
        refused(await ask(alice, "sought-share", { role: "owner" }), 401, "ticket-foreign");
        refused(await ask(bob, "sought-share", { audience: "https://other.test" }), 401, "ticket-foreign");
        refused(await ask(bob, "sought-share", { now: Date.now() - 10 * 60_000 }), 401, "ticket-expired");
        const ticket = await makeTicket(bob, "connect", "seen-share");
        refused(await ask(bob, "sought-share", { ticket }), 401, "ticket-foreign");
        refused(await ask(bob, "sought-share", { ticket: "A".repeat(8000) }), 401, "ticket-malformed");
        refused(await ask(bob, "sought-share", { ticket: "no*base64" }), 400, "bad-request");
      }
      refused(await service.call({ path: "/api/shares/sought-share/edge" }), 403, "not-allowed");
      refused(await service.connect({ id: "one", instance: "boot" }, bob, "sought-share"), 503, "share-away");
      refused(await service.connect({ id: "two", instance: edge.instance }, bob, "sought-share"), 503, "share-away");
      const body = { instance: edge.instance, name: "sought-share", ticket: "" };
      refused(await service.edgeCall("POST", "one/connect", body, "wrong"), 403, "not-allowed");
      refused(await service.edgeCall("POST", "one/connect", { ...body, ticket: 5 }), 400, "bad-request");
      // A ticket to connect opens nothing else.
      const ticket = await makeTicket(alice, "connect", "sought-share");
      refused(await service.attach(edge, alice, "sought-share", { ticket }), 401, "ticket-foreign");
      const path = "/api/shares/sought-share";
      refused(await service.ask({ method: "DELETE", path }, alice, "connect", "sought-share"), 401, "ticket-foreign");
    });

    await t.step("strangers who connect in numbers, or replay, do not lock the owner out", async () => {
      const ticket = await makeTicket(bob, "connect", "sought-share");
      for (let round = 0; round < SHARE_TICKETS_MAX + 40; round += 20) {
        const answers = await Promise.all(
          Array.from(
            { length: 20 },
            (_, i) =>
              i % 2 === 0
                ? service.connect(edge, bob, "sought-share", { ticket })
                : service.connect(edge, alice, "sought-share"),
          ),
        );
        for (const answer of answers) assert.equal(answer.status, 200, answer.text);
      }
      assert.equal((await service.attach(edge, alice, "sought-share")).status, 200);
      assert.equal((await service.register(alice, "sought-share")).status, 200);
    });

    await t.step("one device cannot ask without end, and its registrations are counted apart", async () => {
      const greedy = await device();
      const statuses: number[] = [];
      for (let round = 0; round < 2 * CONNECTS_PER_KEY_BURST; round += 20) {
        const asked = Array.from({ length: 20 }, () => service.edgeOf(greedy, "sought-share"));
        for (const answer of await Promise.all(asked)) {
          statuses.push(answer.status);
          if (answer.status !== 200) refused(answer, 429, "rate-limited");
        }
      }
      const taken = statuses.filter((status) => status === 200).length;
      assert.ok(taken >= CONNECTS_PER_KEY_BURST && taken < 2 * CONNECTS_PER_KEY_BURST, `${taken}`);
      assert.equal((await service.register(greedy, "greedy-share")).status, 201);
      assert.equal((await service.edgeOf(bob, "sought-share")).status, 200);
    });

    await t.step("edges need the service key, and have to report before they attach", async () => {
      for (const key of ["", "wrong", "the-service-key-of-these-tests!", "the-service-key-of-these-test"]) {
        const answer = await service.call({
          method: "PUT",
          path: "/api/edges/evil",
          headers: { authorization: `Bearer ${key}` },
          body: JSON.stringify(edge.report()),
        });
        refused(answer, 403, "not-allowed");
      }
      refused(await service.call({ method: "PUT", path: "/api/edges/evil", body: "{}" }), 403, "not-allowed");
      const stranger = { id: "unheard", instance: "x" } as typeof edge;
      refused(await service.attach(stranger, alice, "seen-share"), 503, "unavailable");
      const rebooted = { id: "one", instance: "another boot" } as typeof edge;
      refused(await service.attach(rebooted, alice, "seen-share"), 503, "unavailable");
      refused(await service.attach(edge, alice, "never-seen"), 404, "share-unknown");
      for (
        const wrong of [
          { ...edge.report(), url: "javascript:alert(1)" },
          { ...edge.report(), origin: "file:///etc" },
          { ...edge.report(), certHashes: ["short"] },
          { ...edge.report(), certHashes: Array(20).fill("ab".repeat(32)) },
          { ...edge.report(), region: "x\ny" },
          { ...edge.report(), instance: "" },
        ]
      ) refused(await service.edgeCall("PUT", "one", wrong), 400, "bad-request");
      refused(await service.edgeCall("PUT", "Not%20An%20Id", edge.report()), 400, "bad-request");
    });

    await t.step("the landing page tells how to share here", async () => {
      const { status, text, headers } = await service.call({ headers: { accept: "text/html" } });
      assert.equal(status, 200);
      assert.match(text, new RegExp(`<code>spanway share 3000 --relay ${ORIGIN}</code>`));
      assert.match(String(headers["content-security-policy"]), /default-src 'none'/);
      assert.equal((await service.call({ path: "/nothing" })).status, 404);
    });

    await t.step("whoever replays a device's ticket does not use up its ration", async () => {
      const victim = await device();
      const ticket = await makeTicket(victim, "share", "often-replayed");
      assert.equal((await service.register(victim, "often-replayed", 60_000, { ticket })).status, 201);
      for (let round = 0; round < 2 * REGISTRATIONS_PER_KEY_BURST; round += 10) {
        const replays = Array.from(
          { length: 10 },
          () => service.register(victim, "often-replayed", 60_000, { ticket }),
        );
        for (const answer of await Promise.all(replays)) refused(answer, 401, "ticket-replayed");
      }
      assert.equal((await service.register(victim, "often-replayed")).status, 200);
    });

    await t.step("one device cannot register without end", async () => {
      const greedy = await device();
      const statuses = new Set<number>();
      for (let round = 0; round < 25 && !statuses.has(429); round++) {
        const names = Array.from({ length: 10 }, (_, i) => `greedy-${round}-${i}`);
        for (const answer of await Promise.all(names.map((name) => service.register(greedy, name)))) {
          statuses.add(answer.status);
          if (answer.status === 429) refused(answer, 429, "rate-limited");
        }
      }
      assert.deepEqual([...statuses].sort(), [201, 429]);
      // Others do not suffer for it, unless they are at the same address.
      const elsewhere = {
        method: "POST",
        path: "/api/shares",
        headers: { [EDGE_KEY_HEADER]: KEY, [VISITOR_HEADER]: "192.0.2.7" },
        body: JSON.stringify({ expiresAt: Date.now() + 60_000 }),
      };
      assert.equal((await service.ask(elsewhere, await device(), "share", "modest-one")).status, 201);
    });
  } finally {
    await service.end();
  }
});

Deno.test("without configured origins, tickets are for the host that was asked, if it can be the service's", async () => {
  const service = await TestService.start({ SPANWAY_ORIGINS: "" });
  try {
    const edge = await service.edge("one");
    const alice = await device();
    const register = async (host: string, audience: string, name: string) =>
      await service.ask(
        { method: "POST", path: "/api/shares", host, body: JSON.stringify({ expiresAt: Date.now() + 60_000 }) },
        alice,
        "share",
        name,
        { audience },
      );
    const { status, json } = await register("spanway.test:8080", "http://spanway.test:8080", "own-host");
    assert.equal(status, 201);
    assert.equal(json.url, "http://own-host.spanway.test:8080");
    // The edge asks at another address; the share remembers how its owner came.
    const attached = await service.attach(edge, alice, "own-host", { audience: "http://spanway.test:8080" });
    assert.equal(attached.status, 200, attached.text);
    refused(await service.attach(edge, alice, "own-host", { audience: "http://evil.test" }), 401, "ticket-foreign");
    refused(await register("spanway.test:8080", "http://spanway.test:8081", "own-host-2"), 401, "ticket-foreign");
    refused(await register("evil.test", "http://evil.test", "own-host-3"), 421, "misdirected");
    refused(await register("127.0.0.1:8080", "http://127.0.0.1:8080", "own-host-4"), 401, "ticket-foreign");
  } finally {
    await service.end();
  }
});

Deno.test("a service whose settings are wrong says so instead of working half", async () => {
  const service = await TestService.start({ SPANWAY_SERVICE_KEY: "short" });
  try {
    refused(await service.call({ path: "/api/service" }), 500, "misconfigured");
  } finally {
    await service.end();
  }
});

Deno.test("a Worker whose agents attach at edges alone has no share registered before one is there, nor its objects reached", async () => {
  const service = await TestService.start({ SPANWAY_ATTACH: "edges" });
  try {
    const owner = await device();
    refused(await service.register(owner, "early-bird"), 503, "unavailable");
    await service.edge("one");
    const { status, json } = await service.register(owner, "early-bird");
    assert.deepEqual([status, json.edges.map(({ id }: { id: string }) => id)], [201, ["one"]]);
    for (const [path, protocol] of [["session", QMUX_SUBPROTOCOL], ["control", CONTROL_SUBPROTOCOL]] as const) {
      const headers = {
        upgrade: "websocket",
        connection: "upgrade",
        "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "sec-websocket-version": "13",
        "sec-websocket-protocol": protocol,
        [SESSION_HEADER]: "early-bird",
      };
      assert.equal((await service.call({ path: `/.spanway/${path}`, headers })).status, 421, path);
    }
  } finally {
    await service.end();
  }
});
