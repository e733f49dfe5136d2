import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { device, makeTicket, TestService } from "./testing/service.ts";

Deno.test("the life of a share, in workerd", async (t) => {
  const service = await TestService.start();
  const one = await service.edge("one");
  const two = await service.edge("two");
  const alice = await device();
  const bob = await device();
  try {
    await t.step("the newest session wins, and the edge of the older one is told", async () => {
      await service.register(alice, "moving-demo");
      const first = await service.attach(one, alice, "moving-demo");
      assert.equal(first.status, 200, first.text);
      assert.equal(first.json.name, "moving-demo");
      one.onVisitor = (_request, response) => response.end("at one");
      two.onVisitor = (_request, response) => response.end("at two");
      assert.equal((await service.visit("moving-demo")).text, "at one");
      const second = await service.attach(two, alice, "moving-demo");
      assert.notEqual(second.json.session, first.json.session);
      const order = await one.order();
      assert.deepEqual([order.name, order.session, order.code], [
        "moving-demo",
        first.json.session,
        "share-replaced",
      ]);
      assert.equal((await service.visit("moving-demo")).text, "at two");
      // What the older edge says of its session afterwards changes nothing.
      const { session } = first.json;
      const late = { instance: one.instance, name: "moving-demo", session };
      assert.equal((await service.edgeCall("POST", "one/detach", late)).status, 204);
      assert.equal((await service.visit("moving-demo")).text, "at two");
      const lost = { instance: two.instance, name: "moving-demo", session: second.json.session };
      assert.equal((await service.edgeCall("POST", "two/detach", lost)).status, 204);
      assert.equal((await service.visit("moving-demo")).status, 503);
    });

    await t.step("who connects is admitted by the edge that has the share now, and by no other", async () => {
      await service.register(alice, "linked-demo");
      assert.equal((await service.edgeOf(bob, "linked-demo")).json.edge, null);
      assert.equal((await service.connect(one, bob, "linked-demo")).json.error.code, "share-away");
      await service.attach(one, alice, "linked-demo");
      assert.equal((await service.connect(one, bob, "linked-demo")).status, 200);
      const { session } = (await service.attach(two, alice, "linked-demo")).json;
      // The first edge still thinks that it has the share: whoever comes there is sent away.
      assert.equal((await service.connect(one, bob, "linked-demo")).json.error.code, "share-away");
      assert.equal((await one.order()).code, "share-replaced");
      assert.equal((await service.edgeOf(bob, "linked-demo")).json.edge.id, "two");
      assert.equal((await service.connect(two, bob, "linked-demo")).json.session, session);
      await service.edgeCall("POST", "two/detach", { instance: two.instance, name: "linked-demo", session });
      assert.equal((await service.connect(two, bob, "linked-demo")).json.error.code, "share-away");
      await service.attach(two, alice, "linked-demo");
      await service.ask({ method: "DELETE", path: "/api/shares/linked-demo" }, alice, "owner", "linked-demo");
      assert.equal((await two.order()).code, "share-ended");
      for (const answer of [await service.edgeOf(bob, "linked-demo"), await service.connect(two, bob, "linked-demo")]) {
        assert.deepEqual([answer.status, answer.json.error.code], [410, "share-ended"]);
      }
      await service.register(alice, "brief-demo", 1200);
      const { expiresAt } = (await service.edgeOf(bob, "brief-demo")).json;
      await new Promise((resolve) => setTimeout(resolve, expiresAt - Date.now() + 20));
      assert.equal((await service.edgeOf(bob, "brief-demo")).json.error.code, "share-expired");
    });

    await t.step("a share that its owner ends is gone at once, and comes back under its name", async () => {
      await service.register(alice, "ended-demo");
      const { session } = (await service.attach(one, alice, "ended-demo")).json;
      const path = "/api/shares/ended-demo";
      const ended = await service.ask({ method: "DELETE", path }, alice, "owner", "ended-demo");
      assert.equal(ended.status, 204, ended.text);
      const visit = await service.visit("ended-demo");
      assert.deepEqual([visit.status, visit.json.code], [410, "share-ended"]);
      const order = await one.order();
      assert.deepEqual([order.session, order.code], [session, "share-ended"]);
      assert.equal((await service.attach(one, alice, "ended-demo")).json.error.code, "share-ended");
      assert.equal((await service.register(bob, "ended-demo")).status, 409);
      assert.equal((await service.register(alice, "ended-demo")).status, 200);
      assert.equal((await service.visit("ended-demo")).status, 503);
    });

    await t.step("at its expiry a share is cut by an alarm, and its name stays its owner's", async () => {
      const expiresAt = (await service.register(alice, "short-demo", 2000)).json.expiresAt;
      const { session, expiresAt: told } = (await service.attach(one, alice, "short-demo")).json;
      assert.equal(told, expiresAt);
      const order = await one.order();
      assert.deepEqual([order.session, order.code], [session, "share-expired"]);
      const late = Date.now() - expiresAt;
      assert.ok(late >= 0 && late < 2000, `told after ${late} ms`);
      const visit = await service.visit("short-demo");
      assert.deepEqual([visit.status, visit.json.code], [410, "share-expired"]);
      const attach = await service.attach(one, alice, "short-demo");
      assert.deepEqual([attach.status, attach.json.error.code], [410, "share-expired"]);
      assert.equal((await service.register(bob, "short-demo")).status, 409);
      assert.equal((await service.register(alice, "short-demo")).status, 200);
      assert.equal((await service.attach(one, alice, "short-demo")).status, 200);
    });

    await t.step("an edge that does not answer at first is told again", async () => {
      const { session } = (await service.attach(two, alice, "short-demo")).json;
      await one.order();
      let refusals = 0;
      // The edge of this step answers the first order with an error: a proxy in between, say.
      const flaky = await service.edge("flaky");
      await service.attach(flaky, alice, "short-demo");
      assert.equal((await two.order()).session, session);
      flaky.refuseOrders(() => ++refusals === 1);
      await service.ask({ method: "DELETE", path: "/api/shares/short-demo" }, alice, "owner", "short-demo");
      assert.equal((await flaky.order()).code, "share-ended");
      assert.equal(refusals, 2);
    });

    await t.step("killed and restarted, the service knows everything it knew", async () => {
      await service.register(alice, "kept-demo", 60_000);
      const used = await makeTicket(alice, "share", "kept-demo");
      assert.equal((await service.attach(two, alice, "kept-demo", { ticket: used })).status, 200);
      await service.kill();
      assert.equal((await service.visit("kept-demo")).text, "at two");
      assert.equal(
        (await service.attach(one, alice, "kept-demo", { ticket: used })).json.error.code,
        "ticket-replayed",
      );
      assert.equal((await service.register(bob, "kept-demo")).status, 409);
      assert.equal((await service.visit("ended-demo")).status, 503);
      assert.equal((await service.visit("short-demo")).status, 410);
      assert.equal((await service.call({ path: "/api/service" })).json.edges, 3);
      const renewed = await service.register(alice, "kept-demo");
      assert.deepEqual([renewed.status, renewed.json.url], [200, "https://kept-demo.spanway.test"]);
    });

    await t.step("an expiry that passed while the service was down is made up for at its start", async () => {
      await service.register(alice, "missed-demo", 1500);
      const { session } = (await service.attach(one, alice, "missed-demo")).json;
      const { expiresAt } = (await service.register(alice, "missed-demo", 1500)).json;
      await service.stop();
      await new Promise((resolve) => setTimeout(resolve, expiresAt - Date.now() + 50));
      assert.equal(one.waiting, 0);
      await service.start();
      const order = await one.order();
      assert.deepEqual([order.session, order.code], [session, "share-expired"]);
      assert.equal((await service.visit("missed-demo")).status, 410);
    });

    await t.step("the key is in no log, and its file is for its owner only", () => {
      assert.doesNotMatch(service.log.join("\n"), /the-service-key/);
      assert.equal(statSync(join(service.dir, "workerd/config.capnp")).mode & 0o777, 0o600);
    });
  } finally {
    await service.end();
  }
});
