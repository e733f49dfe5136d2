import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import process from "node:process";
import { bindUdp } from "../net/udp.ts";
import { systemSockets } from "./list_sockets.ts";
import type { PortList } from "../../shared/link/link_control.ts";
import { ListeningPorts } from "./listening_ports.ts";
import { parseIp } from "./ip.ts";
import { ReachPolicy } from "./policy.ts";
import { parsePorts } from "./port_set.ts";
import type { ListeningSocket } from "./socket_list.ts";
import { type TargetHost, THIS_MACHINE } from "./target_host.ts";

function policyOf(ports = "all", target: TargetHost = THIS_MACHINE): ReachPolicy {
  return new ReachPolicy({ target, ports: parsePorts(ports), allowHosts: [], name: () => "", own: () => new Set() });
}

function socket(port: number, more: Partial<ListeningSocket> = {}): ListeningSocket {
  return { protocol: "tcp", address: undefined, families: [4, 6], port, pids: [], ...more };
}

/** Lists that a test gives out one by one; each is told to all who watch. */
function script(policy = policyOf()) {
  const asked: PromiseWithResolvers<readonly ListeningSocket[]>[] = [];
  let wake = () => {};
  const ports = new ListeningPorts(policy, {
    pollMs: 1,
    list: () => {
      const next = Promise.withResolvers<readonly ListeningSocket[]>();
      asked.push(next);
      wake();
      return next.promise;
    },
  });
  let given = 0;
  return {
    ports,
    asked,
    async give(answer: readonly ListeningSocket[] | Error): Promise<void> {
      while (asked.length <= given) await new Promise<void>((resolve) => wake = resolve);
      const next = asked[given++];
      if (answer instanceof Error) next?.reject(answer);
      else next?.resolve(answer);
      await new Promise((resolve) => setTimeout(resolve));
    },
  };
}

Deno.test("ports are told once they are known, and again when they change", async () => {
  const { ports, give } = script();
  const told: PortList[] = [];
  const watch = ports.watchPorts((list) => told.push(list));
  await give([socket(80), socket(22), socket(80, { families: [6] }), socket(53, { protocol: "udp" })]);
  assert.deepEqual(told, [{ tcp: [22, 80], udp: [53] }]);
  await give([socket(53, { protocol: "udp" }), socket(80), socket(22)]);
  assert.equal(told.length, 1);
  await give([socket(22)]);
  assert.deepEqual(told[1], { tcp: [22], udp: [] });
  // One list that fails is no news.
  await give(new Error("busy"));
  await give([socket(22)]);
  assert.equal(told.length, 2);
  // Who comes later is told at once.
  const later: PortList[] = [];
  const second = ports.watchPorts((list) => later.push(list));
  assert.deepEqual(later, []);
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(later, [{ tcp: [22], udp: [] }]);
  watch.close();
  second.close();
});

Deno.test("nobody looks when nobody watches", async () => {
  const { ports, give, asked } = script();
  const watch = ports.watchPorts(() => assert.fail("told after the end"));
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(asked.length, 1);
  watch.close();
  watch.close();
  await give([socket(22)]);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(asked.length, 1);
  const told: PortList[] = [];
  const again = ports.watchPorts((list) => told.push(list));
  await give([socket(23)]);
  assert.deepEqual(told, [{ tcp: [23], udp: [] }]);
  again.close();
});

Deno.test("only what peers may reach, and what is not this program itself", async () => {
  const { ports, give } = script(policyOf("22,80-90,53/udp"));
  const told: PortList[] = [];
  const watch = ports.watchPorts((list) => told.push(list));
  await give([
    socket(22, { address: "127.0.0.1", families: [4] }),
    socket(80, { address: "::1", families: [6] }),
    socket(81, { address: "192.168.1.5", families: [4] }),
    socket(82, { address: "127.0.0.53", families: [4] }),
    socket(83, { pids: [process.pid] }),
    socket(84, { pids: [1, 2] }),
    socket(443),
    socket(53),
    socket(53, { protocol: "udp" }),
    socket(22, { protocol: "udp", families: [6] }),
  ]);
  assert.deepEqual(told, [{ tcp: [22, 80, 84], udp: [53] }]);
  watch.close();
});

Deno.test("where ports cannot be listed, that is said once", async () => {
  const why = (ports: ListeningPorts) =>
    new Promise<string>((resolve) => {
      let within = true;
      ports.watchPorts(() => assert.fail("told"), (text) => {
        assert(!within);
        resolve(text);
      });
      within = false;
    });
  const other: TargetHost = { kind: "address", label: "192.168.1.9", ip: parseIp("192.168.1.9")! };
  assert.match(await why(new ListeningPorts(policyOf("all", other))), /192\.168\.1\.9/);
  assert.match(await why(new ListeningPorts(policyOf(), { list: undefined })), /system/);
  assert.match(await why(new ListeningPorts(policyOf(), { list: systemSockets("plan9") })), /system/);
  const { ports, give } = script();
  const failed = why(ports);
  for (let i = 0; i < 3; i++) await give(new Error("no such program"));
  assert.match(await failed, /missing or fails/);
});

Deno.test("the real list of this machine has the servers of others, as they come and go", async () => {
  const list = systemSockets();
  if (list === undefined || await list().catch(() => undefined) === undefined) {
    return console.log("skipped: this system cannot list its ports");
  }
  // Own sockets are left out, so the server has to be another process.
  const child = spawn("node", [
    "-e",
    `const server = require("net").createServer().listen(0, "127.0.0.1", () => console.log(server.address().port));
     process.stdin.on("end", () => process.exit()).resume();`,
  ], { stdio: ["pipe", "pipe", "inherit"] });
  const own = createServer().listen(0, "127.0.0.1");
  const udp = await bindUdp({ host: "127.0.0.1", port: 0 }, () => {});
  try {
    const [chunk] = await once(child.stdout, "data");
    const port = Number(String(chunk));
    const ports = new ListeningPorts(policyOf(), { pollMs: 10 });
    let wake = () => {};
    const told: PortList[] = [];
    const watch = ports.watchPorts((list) => (told.push(list), wake()), (why) => assert.fail(why));
    const until = async (holds: (list: PortList) => boolean) => {
      while (!told.some(holds)) await new Promise<void>((resolve) => wake = resolve);
    };
    await until(({ tcp }) => tcp.includes(port));
    const { port: ownPort } = own.address() as { port: number };
    for (const { tcp, udp: udpPorts } of told) {
      assert(!tcp.includes(ownPort) && !udpPorts.includes(udp.address.port), "our own ports are told");
    }
    told.length = 0;
    child.stdin.end();
    await until(({ tcp }) => !tcp.includes(port));
    watch.close();
  } finally {
    child.stdin.end();
    own.close();
    udp.close();
  }
});
