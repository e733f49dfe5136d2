import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import type { Identity } from "../../shared/identity.ts";
import { CONNECTS_PER_ADDRESS_BURST } from "../../shared/limits.ts";
import { lane } from "../../shared/relay/connector_world.ts";
import { dialHandshake } from "../../shared/relay/handshake.ts";
import { connectH3 } from "../../shared/transport/deno/h3_client.ts";
import { connectQmux } from "../../shared/transport/qmux/ws.ts";
import type { Session } from "../../shared/transport/transport.ts";
import type { Hello } from "../../shared/wire/control.ts";
import { device, DOMAIN, KEY, makeTicket, TestService } from "../testing/service.ts";
import { Edge, type EdgeEvent } from "./edge.ts";

/** Real edges of one real service, and sessions with them. */
class World {
  readonly service: TestService;
  readonly told: string[] = [];
  readonly events: EdgeEvent[] = [];
  readonly #edges: Edge[] = [];
  readonly #sessions: Session[] = [];
  #changed: () => void = () => {};

  constructor(service: TestService) {
    this.service = service;
  }

  async edge(id: string): Promise<Edge> {
    const edge = await Edge.start({
      id,
      region: id,
      listen: { host: "127.0.0.1", port: 0 },
      domain: DOMAIN,
      service: { url: () => new URL(`http://127.0.0.1:${this.service.port}`), key: KEY },
      workerComesBy: "loopback",
      certificateDir: join(this.service.dir, id),
      tell: (event) => {
        this.events.push(event);
        if (event.event === "connected") this.told.push(`${id}+ ${event.connectors}`);
        if (event.event === "disconnected") this.told.push(`${id}- ${event.reason} ${event.connectors} ${event.lanes}`);
        this.#changed();
      },
    });
    this.#edges.push(edge);
    await edge.register();
    return edge;
  }

  /** Resolves once `done` holds; it is asked whenever an edge tells something. */
  async until(done: () => boolean): Promise<void> {
    while (!done()) await new Promise<void>((resolve) => this.#changed = resolve);
  }

  async join(edge: Edge, by: "h3" | "qmux", role: Hello["role"], who: Identity, name: string, ticket?: string) {
    const { port } = edge.url;
    const at = `127.0.0.1:${port}/.spanway/session`;
    const session = by === "h3"
      ? await connectH3(`https://${at}`, { certHashes: await this.#hashes(edge) })
      : await connectQmux(`ws://${at}`, { headers: { host: `${DOMAIN}:${port}` } });
    this.#sessions.push(session);
    const proof = Buffer.from(ticket ?? await makeTicket(who, role, name), "base64url");
    const hello = { role, name, ticket: new Uint8Array(proof), agent: "test/1" };
    try {
      return { session, ...await dialHandshake(session, hello, 5000), served: Promise.resolve() };
    } catch (error) {
      session.close();
      throw error;
    }
  }

  async #hashes(edge: Edge): Promise<Uint8Array[]> {
    const who = await device();
    const { json } = await this.service.register(who, `hashes-${crypto.randomUUID().slice(0, 8)}`);
    const port = `:${edge.url.port}/`;
    const { certHashes } = json.edges.find(({ url }: { url: string }) => url.includes(port));
    return certHashes.map((hash: string) => Uint8Array.fromHex(hash));
  }

  async end(): Promise<void> {
    for (const session of this.#sessions) session.close();
    for (const edge of this.#edges) await edge.close();
    await this.service.end();
  }
}

Deno.test("connecting agents and shares at real edges of a real service", async (t) => {
  const world = new World(await TestService.start());
  const { service } = world;
  const alice = await device();
  const bob = await device();
  try {
    const [one, two] = [await world.edge("one"), await world.edge("two")];

    for (const [shareBy, connectBy] of [["h3", "h3"], ["qmux", "qmux"], ["h3", "qmux"], ["qmux", "h3"]] as const) {
      await t.step(`a share over ${shareBy} is reached over ${connectBy}`, async () => {
        const name = `reached-${shareBy}-${connectBy}`;
        await service.register(alice, name);
        await assert.rejects(world.join(one, connectBy, "connect", bob, name), { code: "share-away" });
        const share = await world.join(one, shareBy, "share", alice, name);
        const { json } = await service.edgeOf(bob, name);
        assert.equal(json.edge.id, "one");
        world.events.length = world.told.length = 0;
        const connector = await world.join(one, connectBy, "connect", bob, name);
        assert.equal(connector.welcome.expiresAt, json.expiresAt);
        const came = world.events.find((event) => event.event === "connected");
        assert.deepEqual([came?.connector.name, came?.connector.fingerprint], [name, bob.fingerprint]);
        const { near, far } = await lane(share, connector);
        await near.say("hello");
        assert.equal(await far.hear(5), "hello");
        await far.writer.close();
        assert.equal(await near.rest(), "");
        assert.deepEqual([one.load.connectors, one.load.lanes], [1, 1]);
        connector.session.close();
        await world.until(() => world.told.length === 2);
        assert.equal(await far.rest(), "");
        share.session.close();
        await world.until(() => world.events.some(({ event }) => event === "detached"));
      });
    }

    await t.step(
      "a share that moves to a second edge takes its connectors along, whatever the first one thinks",
      async () => {
        await service.register(alice, "moving-share");
        const before = await world.join(one, "h3", "share", alice, "moving-share");
        const connector = await world.join(one, "h3", "connect", bob, "moving-share");
        const { near } = await lane(before, connector);
        world.told.length = 0;
        const after = await world.join(two, "h3", "share", alice, "moving-share");
        // The first edge is told by the service in its own time; it admits nobody from this moment on.
        await assert.rejects(world.join(one, "h3", "connect", bob, "moving-share"), { code: "share-away" });
        const bye = await connector.control.read();
        assert.equal(bye?.t === "bye" && bye.code, "share-away");
        assert.equal(await near.rest(), "");
        assert.equal((await service.edgeOf(bob, "moving-share")).json.edge.id, "two");
        const again = await world.join(two, "h3", "connect", bob, "moving-share");
        const lanes = await lane(after, again);
        await lanes.near.say("found");
        assert.equal(await lanes.far.hear(5), "found");
        await world.until(() => world.told.length === 2);
        assert.deepEqual(world.told.sort(), ["one- share-away 0 1", "two+ 1"]);

        await service.ask({ method: "DELETE", path: "/api/shares/moving-share" }, alice, "owner", "moving-share");
        const over = await again.control.read();
        assert.equal(over?.t === "bye" && over.code, "share-ended");
        assert.equal((await service.edgeOf(bob, "moving-share")).json.error.code, "share-ended");
      },
    );

    await t.step("wrong tickets are refused by name, and a ticket to connect attaches no share", async () => {
      await service.register(alice, "guarded-share");
      await world.join(two, "h3", "share", alice, "guarded-share");
      const join = (ticket: string, role: Hello["role"] = "connect") =>
        world.join(two, "h3", role, bob, "guarded-share", ticket);
      const expired = await makeTicket(bob, "connect", "guarded-share", { now: Date.now() - 10 * 60_000 });
      await assert.rejects(join(expired), { code: "ticket-expired" });
      await assert.rejects(join(await makeTicket(bob, "connect", "another-share")), { code: "ticket-foreign" });
      await assert.rejects(join(await makeTicket(bob, "share", "guarded-share")), { code: "ticket-foreign" });
      await assert.rejects(join(await makeTicket(alice, "connect", "guarded-share"), "share"), {
        code: "ticket-foreign",
      });
      await assert.rejects(join(Buffer.from(new Uint8Array(40)).toString("base64url")), { code: "ticket-malformed" });
      assert.equal(two.load.shares > 0, true);
    });

    await t.step(
      "an address that tries without end is refused before the service hears of it; shares still attach",
      async () => {
        let refused = 0;
        const ticket = await makeTicket(bob, "connect", "guarded-share", { now: Date.now() - 10 * 60_000 });
        const attempt = () =>
          world.join(two, "qmux", "connect", bob, "guarded-share", ticket).catch(({ code }) => {
            if (code === "rate-limited") refused++;
            else assert.equal(code, "ticket-expired");
          });
        for (let tried = 0; tried < CONNECTS_PER_ADDRESS_BURST + 60; tried += 20) {
          await Promise.all(Array.from({ length: 20 }, attempt));
        }
        assert.ok(refused > 0);
        await service.register(alice, "other-share");
        const share = await world.join(two, "qmux", "share", alice, "other-share");
        share.session.close();
      },
    );

    await t.step("an edge that goes down says so", async () => {
      await service.register(alice, "last-share");
      await world.join(one, "h3", "share", alice, "last-share");
      const connector = await world.join(one, "h3", "connect", bob, "last-share");
      const closing = one.close();
      const bye = await connector.control.read();
      assert.equal(bye?.t === "bye" && bye.code, "going-away");
      await closing;
    });
  } finally {
    await world.end();
  }
});
