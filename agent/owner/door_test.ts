import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { SpanwayError } from "../../shared/errors.ts";
import { OWNER_MESSAGE_MAX_BYTES } from "../../shared/limits.ts";
import { askShare, openDoor, type OwnerHandler } from "./door.ts";

async function withDoor(
  handle: OwnerHandler,
  work: (door: Awaited<ReturnType<typeof openDoor>>) => Promise<void>,
): Promise<void> {
  const door = await openDoor(handle);
  try {
    await work(door);
  } finally {
    door.close();
  }
}

/** Sends bytes as they are; resolves with all that comes back. */
async function raw(port: number, bytes: string): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port });
  let heard = "";
  socket.on("data", (chunk) => heard += chunk);
  socket.on("error", () => {});
  socket.write(bytes);
  await once(socket, "close");
  return heard;
}

Deno.test("the owner asks, and hears the answer or the error with its hint", () =>
  withDoor((request) => {
    if (request["do"] === "sessions") return [{ session: "1" }];
    throw new SpanwayError("ssh-session-unknown", `no ${request["session"]}`, { hint: "look" });
  }, async (door) => {
    assert.deepEqual(await askShare(door, { do: "sessions" }), [{ session: "1" }]);
    await assert.rejects(askShare(door, { do: "kick", session: "9" }), {
      code: "ssh-session-unknown",
      message: "no 9",
      hint: "look",
    });
  }));

Deno.test("nobody without the secret is answered, and nothing is done for him", async () => {
  let asked = 0;
  await withDoor(() => void asked++, async (door) => {
    for (
      const line of [
        "{}\n",
        "\n",
        "nonsense\n",
        "[1]\n",
        "null\n",
        JSON.stringify({ secret: "", do: "kick", session: "1" }) + "\n",
        JSON.stringify({ secret: door.secret.slice(1), do: "kick" }) + "\n",
        JSON.stringify({ secret: [door.secret], do: "kick" }) + "\n",
        "x".repeat(OWNER_MESSAGE_MAX_BYTES + 1),
      ]
    ) assert.equal(await raw(door.port, line), "", line.slice(0, 60));
    await assert.rejects(askShare({ ...door, secret: "wrong" }, { do: "sessions" }), { code: "unavailable" });
    assert.equal(asked, 0);
    assert.equal(await askShare(door, { do: "sessions" }), null);
  });
});

Deno.test("a share that is gone is told as one that does not answer", async () => {
  const door = await openDoor(() => null);
  door.close();
  await assert.rejects(askShare(door, { do: "sessions" }), { code: "unavailable" });
});
