import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { once } from "node:events";
import { connect } from "node:net";
import { PIPELINED_REQUESTS_MAX } from "../../shared/limits.ts";
import { HttpFront } from "./http_front.ts";

Deno.test("one socket has one request in hand, however many it sends behind each other", async () => {
  const begun: ServerResponse[] = [];
  const refused: string[] = [];
  const front = new HttpFront({
    request: (_req, res) => void begun.push(res),
    upgrade() {},
    refused: (reason) => void refused.push(reason),
  }, undefined);
  const { port } = await front.listen("127.0.0.1", 0);
  const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  try {
    const polite = connect(port, "127.0.0.1");
    polite.write(get.repeat(3));
    let answers = "";
    polite.on("data", (chunk) => answers += chunk);
    for (let i = 1; i <= 3; i++) {
      while (begun.length < i) await new Promise((resolve) => setTimeout(resolve, 1));
      assert.equal(begun.length, i);
      begun.at(-1)!.end(`answer ${i}`);
    }
    while (!answers.includes("answer 3")) await once(polite, "data");
    assert.deepEqual(answers.match(/answer \d/g), ["answer 1", "answer 2", "answer 3"]);
    polite.destroy();

    const rude = connect(port, "127.0.0.1");
    rude.on("error", () => {});
    rude.write(get.repeat(PIPELINED_REQUESTS_MAX + 2));
    await once(rude, "close");
    assert.equal(begun.length, 4);
    assert.ok(refused.includes("pipelined"));
  } finally {
    await front.close();
  }
});
