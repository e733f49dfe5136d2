import assert from "node:assert/strict";
import { browserTest, openPage } from "./support/browser.ts";
import { startRelay, startShare, startUp } from "./support/spanway.ts";
import { withoutEdge } from "./support/service.ts";

browserTest("spanway up: the demo page opens, is live, and two who look see each other", async (browser) => {
  await using share = await startUp([]);
  const [first, second] = [await openPage(browser), await openPage(browser)];
  await first.page.goto(share.url);
  await first.page.waitForSelector(`#state:text-is("live")`);
  await second.page.goto(share.url);
  for (const { page } of [first, second]) {
    await page.waitForSelector(`#here:text-is("2")`);
    // The round trip over the WebSocket.
    await page.waitForSelector("#trip:text-matches('[0-9] ms$')");
  }
  await first.page.click("#wave");
  await second.page.waitForSelector(`#waves:text-is("1")`);
  await second.page.close();
  await first.page.waitForSelector(`#here:text-is("1")`);
  assert.deepEqual([...first.complaints, ...second.complaints], []);
}, withoutEdge("`up` always has one"));

browserTest("a browser that finds nobody sees a page it can read, and the app as soon as it runs", async (browser) => {
  await using relay = await startRelay();
  const { page, complaints } = await openPage(browser);
  const unknown = await page.goto(relay.url.replace("//", "//nobody-at-all-0000."));
  assert.equal(unknown!.status(), 404);
  assert.match(await page.innerText("h1"), /Nothing is shared here/);
  // The page's policy forbids everything but its own style: a violation would be a complaint.
  assert.deepEqual(complaints.filter((text) => !/status of 404/.test(text)), []);

  // An app that is not running yet.
  const probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = probe.addr;
  probe.close();
  await using share = await startShare(`http://127.0.0.1:${port}`, { relay });
  assert.equal((await page.goto(share.url))!.status(), 502);
  assert.match(await page.innerText("h1"), /not running/);
  const app = Deno.serve({ hostname: "127.0.0.1", port, onListen() {} }, () => new Response("here I am"));
  await page.reload();
  assert.equal(await page.innerText("body"), "here I am");
  await app.shutdown();
});
