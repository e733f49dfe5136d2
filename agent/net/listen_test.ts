import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { ListenError } from "../errors.ts";
import { listenTcp } from "./listen.ts";
import { listenError } from "./listen_error.ts";
import { drain } from "./testing/sockets.ts";

const loopback = { host: "127.0.0.1", port: 0 };

Deno.test("port 0 is any free port; connections are handed over paused", async () => {
  const accepted = Promise.withResolvers<Socket>();
  const listening = await listenTcp(loopback, 10, accepted.resolve);
  assert(listening.address.port > 0);
  const client = connect(listening.address.port, "127.0.0.1");
  client.end("hello");
  const socket = await accepted.promise;
  assert(socket.isPaused());
  assert.equal(socket.allowHalfOpen, true);
  socket.destroy();
  client.destroy();
  listening.close();
});

Deno.test("connections beyond the bound are reset, and places come back", async () => {
  const sockets: Socket[] = [];
  let wake = (): void => {};
  const listening = await listenTcp(loopback, 2, (socket) => {
    sockets.push(socket);
    wake();
  });
  const taken = async (count: number) => {
    while (sockets.length < count) await new Promise<void>((resolve) => wake = resolve);
  };
  const dial = () => connect(listening.address.port, "127.0.0.1").on("error", () => {});
  const clients = [dial(), dial()];
  await taken(2);
  const third = dial();
  assert.equal((await drain(third)).how, "reset");
  sockets[0]!.destroy();
  await once(sockets[0]!, "close");
  clients.push(dial());
  await taken(3);
  assert.equal(sockets.length, 3);
  for (const socket of [...sockets, ...clients]) socket.destroy();
  listening.close();
});

Deno.test("addresses that cannot be listened on are told with their reason", async () => {
  const taken = await listenTcp(loopback, 1, () => {});
  const cases = [
    [taken.address, "address-in-use"],
    [{ host: "203.0.113.7", port: 0 }, "address-unavailable"],
    [{ host: "no-such-host.invalid", port: 0 }, "address-unavailable"],
  ] as const;
  for (const [at, code] of cases) {
    await assert.rejects(
      listenTcp(at, 1, () => {}),
      (error) => error instanceof ListenError && error.code === code && error.hint !== undefined,
    );
  }
  taken.close();
  // Only those without rights meet it.
  assert.equal(listenError({ code: "EACCES" }, { host: "127.0.0.1", port: 80 }, "TCP").code, "address-not-permitted");
});

Deno.test("a closed listener takes nobody, and those whom it took stay", async () => {
  const accepted = Promise.withResolvers<Socket>();
  const listening = await listenTcp(loopback, 10, accepted.resolve);
  const client = connect(listening.address.port, "127.0.0.1").on("error", () => {});
  const socket = await accepted.promise;
  listening.close();
  listening.close();
  const late = connect(listening.address.port, "127.0.0.1");
  const [error] = await once(late, "error");
  assert.equal((error as { code: string }).code, "ECONNREFUSED");
  socket.end("still here");
  client.end();
  assert.equal(new TextDecoder().decode((await drain(client)).bytes), "still here");
  socket.destroy();
});
