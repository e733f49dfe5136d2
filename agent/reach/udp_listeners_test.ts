import assert from "node:assert/strict";
import { bindUdp } from "../net/udp.ts";
import { systemSockets } from "./list_sockets.ts";
import type { ListeningSocket } from "./socket_list.ts";
import { udpListeners } from "./udp_listeners.ts";
import { testUnless, whyNoProgram } from "../../tests/support/needs.ts";

const socket = (port: number, address?: string): ListeningSocket => ({
  protocol: "udp",
  address,
  families: [4],
  port,
  pids: [],
});

Deno.test("all who ask at once share one list, and who asks while it is taken gets the next", async () => {
  const lists: PromiseWithResolvers<readonly ListeningSocket[]>[] = [];
  const has = udpListeners(() => {
    const list = Promise.withResolvers<readonly ListeningSocket[]>();
    lists.push(list);
    return list.promise;
  }, 0);
  const first = [has("127.0.0.1", 53), has("127.0.0.1", 54)];
  await Promise.resolve();
  while (lists.length < 1) await new Promise((resolve) => setTimeout(resolve, 1));
  const late = has("127.0.0.1", 54);
  lists[0]!.resolve([socket(53)]);
  assert.deepEqual(await Promise.all(first), [true, false]);
  while (lists.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
  lists[1]!.resolve([socket(54, "127.0.0.1")]);
  assert.equal(await late, true);
  assert.equal(lists.length, 2);
});

Deno.test("where sockets cannot be listed nothing is known", async () => {
  assert.equal(await udpListeners(undefined)("127.0.0.1", 53), undefined);
  assert.equal(await udpListeners(() => Promise.reject(new Error("no")))("127.0.0.1", 53), undefined);
});

Deno.test("an address of its own, and another family, are no listeners", async () => {
  const has = udpListeners(() => Promise.resolve([socket(53, "127.0.0.53")]));
  assert.equal(await has("127.0.0.53", 53), true);
  assert.equal(await has("127.0.0.1", 53), false);
  assert.equal(await has("::1", 53), false);
});

testUnless(whyNoProgram("ss"), "a socket of this machine is found, and a closed port is not", async () => {
  const has = udpListeners(systemSockets(), 0);
  const server = await bindUdp({ host: "127.0.0.1", port: 0 }, () => {});
  const { port } = server.address;
  assert.equal(await has("127.0.0.1", port), true);
  server.close();
  while (await has("127.0.0.1", port)) await new Promise((resolve) => setTimeout(resolve, 1));
});
