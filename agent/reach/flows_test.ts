import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { LinkError, type LinkErrorCode } from "../../shared/errors.ts";
import { LINK_DATAGRAM_MAX_BYTES, REACH_FLOW_EARLY_MAX } from "../../shared/limits.ts";
import { bindUdp } from "../net/udp.ts";
import { type FlowOptions, Flows } from "./flows.ts";
import { parseHostRule } from "./host_rule.ts";
import type { Lookup } from "./lookup.ts";
import { ReachPolicy } from "./policy.ts";
import { parsePorts } from "./port_set.ts";
import { THIS_MACHINE } from "./target_host.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (payload: Uint8Array) => new TextDecoder().decode(payload);

interface Given extends FlowOptions {
  readonly ports?: string;
  readonly hosts?: readonly string[];
  readonly lookup?: Lookup;
  /** Addresses of this machine that are taken for another one's. */
  readonly own?: readonly string[];
}

function flowsOf(given: Given = {}): Flows & Disposable {
  const policy = new ReachPolicy({
    target: THIS_MACHINE,
    ports: parsePorts(given.ports ?? "all"),
    allowHosts: (given.hosts ?? []).map(parseHostRule),
    name: () => "my-demo",
    own: () => new Set(given.own ?? []),
  });
  const flows = new Flows(policy, given.lookup ?? (() => Promise.reject(new Error("no lookups"))), given);
  return Object.assign(flows, { [Symbol.dispose]: () => flows.close() });
}

/** What comes out of a flow, to be waited for. */
function inbox() {
  const got: string[] = [];
  let wake = () => {};
  return {
    got,
    receive: (payload: Uint8Array) => {
      got.push(payload.length > 100 ? `${payload.length} bytes` : text(payload));
      wake();
    },
    async next(count: number): Promise<string[]> {
      while (got.length < count) await new Promise<void>((resolve) => wake = resolve);
      return got;
    },
  };
}

/** Says everything twice, with the sender's port first. Returns the datagrams' senders, too. */
async function echo(host = "127.0.0.1") {
  const from = new Set<number>();
  const socket = await bindUdp({ host, port: 0 }, (payload, peer) => {
    from.add(peer.port);
    socket.send(payload, peer);
  });
  return { port: socket.address.port, from, [Symbol.dispose]: () => socket.close() };
}

Deno.test("datagrams go to the target and come back, empty and large ones as well", async () => {
  using server = await echo();
  using flows = flowsOf();
  const { receive, next } = inbox();
  const flow = flows.open({ host: "", port: server.port }, receive, () => assert.fail("closed"));
  // Those that are sent before the socket is there wait for it.
  flow.send(bytes("early"));
  assert.deepEqual(await next(1), ["early"]);
  flow.send(new Uint8Array(0));
  assert.deepEqual(await next(2), ["early", ""]);
  flow.send(new Uint8Array(LINK_DATAGRAM_MAX_BYTES));
  assert.deepEqual(await next(3), ["early", "", `${LINK_DATAGRAM_MAX_BYTES} bytes`]);
  // What no datagram can carry is dropped, and the flow goes on.
  flow.send(new Uint8Array(LINK_DATAGRAM_MAX_BYTES + 1));
  flow.send(bytes("late"));
  assert.deepEqual((await next(4)).slice(3), ["late"]);
  assert.equal(server.from.size, 1);
});

Deno.test("each flow has a socket of its own", async () => {
  using server = await echo();
  using flows = flowsOf();
  const boxes = Array.from({ length: 20 }, (_, i) => {
    const box = inbox();
    flows.open({ host: "", port: server.port }, box.receive, () => {}).send(bytes(`${i}`));
    return box;
  });
  for (const [i, box] of boxes.entries()) assert.deepEqual(await box.next(1), [`${i}`]);
  assert.equal(server.from.size, 20);
});

Deno.test("nobody but the target gets through", async () => {
  using server = await echo();
  using flows = flowsOf();
  const { receive, next } = inbox();
  const flow = flows.open({ host: "", port: server.port }, receive, () => {});
  flow.send(bytes("one"));
  await next(1);
  const [port = 0] = server.from;
  // From another port of the same host, and from the same port of another.
  const strangers = [
    await bindUdp({ host: "127.0.0.1", port: 0 }, () => {}),
    await bindUdp({ host: "127.0.0.2", port: server.port }, () => {}),
  ];
  for (const stranger of strangers) stranger.send(bytes("evil"), { host: "127.0.0.1", port });
  await sleep(20);
  flow.send(bytes("two"));
  assert.deepEqual(await next(2), ["one", "two"]);
  for (const stranger of strangers) stranger.close();
});

/** The code with which a flow closes. */
function closing(flows: Flows, target: { host: string; port: number }): Promise<LinkErrorCode | undefined> {
  let opened = false;
  return new Promise((resolve) => {
    const flow = flows.open(target, () => {}, (code) => {
      assert(opened, "closed before it was handed out");
      resolve(code);
    });
    opened = true;
    flow.send(bytes("hello"));
  });
}

Deno.test("the policy holds for every flow, and for what a name leads to", async () => {
  using server = await echo();
  const { port } = server;
  const lookup: Lookup = (name) => {
    switch (name) {
      case "turned.test":
        return Promise.resolve(["127.0.0.1", "169.254.169.254"]);
      default:
        return Promise.reject(new LinkError("name-unknown", "Nobody knows it."));
    }
  };
  using flows = flowsOf({ ports: `${port}/tcp,1/udp`, hosts: ["*.test"], lookup, own: ["127.0.0.1"] });
  assert.equal(await closing(flows, { host: "", port }), "not-allowed");
  assert.equal(await closing(flows, { host: "10.0.0.1", port }), "not-allowed");
  assert.equal(await closing(flows, { host: "turned.test", port }), "not-allowed");
  assert.equal(await closing(flows, { host: "unknown.test", port }), "name-unknown");
  assert.equal(await closing(flows, { host: "", port: 0 }), "not-allowed");
  assert.equal(flows.size, 0);
  assert.equal(server.from.size, 0);
});

Deno.test("while a name is looked up a few datagrams wait, and the rest are dropped", async () => {
  const own = Object.values(Deno.networkInterfaces()).find(({ address, family }) =>
    family === "IPv4" && !address.startsWith("127.")
  )?.address;
  if (own === undefined) return console.log("skipped: no network interface");
  using server = await echo(own);
  const answer = Promise.withResolvers<readonly string[]>();
  using flows = flowsOf({ hosts: ["db"], lookup: () => answer.promise });
  const { receive, next, got } = inbox();
  const flow = flows.open({ host: "db", port: server.port }, receive, () => {});
  for (let i = 0; i < 1000; i++) flow.send(bytes(`${i}`));
  answer.resolve([own]);
  await next(REACH_FLOW_EARLY_MAX);
  flow.send(bytes("late"));
  await next(REACH_FLOW_EARLY_MAX + 1);
  assert.deepEqual(got, [...Array.from({ length: REACH_FLOW_EARLY_MAX }, (_, i) => `${i}`), "late"]);
});

Deno.test("idle flows end, used ones stay", async () => {
  using server = await echo();
  using flows = flowsOf({ idleMs: 60, sweepMs: 5 });
  const ended: string[] = [];
  flows.open({ host: "", port: server.port }, () => {}, (code) => ended.push(`idle ${code}`)).send(bytes("once"));
  const { receive, next } = inbox();
  const used = flows.open({ host: "", port: server.port }, receive, () => ended.push("used"));
  for (let i = 0; i < 20; i++) {
    used.send(bytes("again"));
    await next(i + 1);
    await sleep(10);
  }
  assert.deepEqual(ended, ["idle undefined"]);
  assert.equal(flows.size, 1);
  used.close();
  used.close();
  used.send(bytes("too late"));
  await sleep(20);
  assert.deepEqual(ended, ["idle undefined"]);
  assert.equal(flows.size, 0);
});

Deno.test("when there are too many the longest idle makes room", async () => {
  using server = await echo();
  using flows = flowsOf({ max: 3, sweepMs: 1 });
  const ended: string[] = [];
  const boxes = new Map<string, ReturnType<typeof inbox>>();
  const open = (name: string) => {
    const box = inbox();
    boxes.set(name, box);
    return flows.open({ host: "", port: server.port }, box.receive, (code) => ended.push(`${name} ${code}`));
  };
  const first = open("first");
  open("second");
  open("third");
  await sleep(5);
  first.send(bytes("still here"));
  await boxes.get("first")?.next(1);
  open("fourth");
  assert.deepEqual(ended, ["second undefined"]);
  assert.equal(flows.size, 3);
  // A flood stays within the bound.
  for (let i = 0; i < 5000; i++) open(`flood ${i}`);
  assert.equal(flows.size, 3);
  assert.equal(ended.length, 5001);
});

Deno.test("after the end of a share no flow is opened", async () => {
  const flows = flowsOf();
  flows.close();
  assert.equal(await closing(flows, { host: "", port: 9 }), "link-closed");
});

Deno.test("a link that opens flows without end pushes out its own, and never another's", async () => {
  using server = await echo();
  using flows = flowsOf({ max: 8 });
  const target = { host: "", port: server.port };
  const quiet = inbox();
  const honest = flows.open(target, quiet.receive, () => assert.fail("pushed out"), "honest");
  honest.send(bytes("one"));
  await quiet.next(1);
  let closed = 0;
  for (let i = 0; i < 50; i++) flows.open(target, () => {}, () => closed++, "greedy").send(bytes("x"));
  assert.deepEqual([flows.size, closed], [8, 43]);
  // Newcomers take theirs from whoever has most.
  for (const link of ["a", "b", "c"]) flows.open(target, () => {}, () => assert.fail("pushed out"), link);
  assert.deepEqual([flows.size, closed], [8, 46]);
  honest.send(bytes("two"));
  assert.deepEqual(await quiet.next(2), ["one", "two"]);
});
